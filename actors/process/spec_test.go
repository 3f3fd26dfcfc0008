package process

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/configs/secrets"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
)

var testEnv = &Env{Paths: Paths{
	Knot: "/usr/bin/lithos_knot", MasterFile: "/etc/lithos/master.yaml", MountDir: "/run/lithos/mnt",
	DevfsDir: "/var/lib/lithos/dev", StateDir: "/run/lithos/state", RecordsDir: "/run/lithos/containers",
	StdioLog: "/var/log/lithos/stderr/web.log", Term: "xterm",
}}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// full is an instance with a value in every field.
func full() *configs.Instance {
	return &configs.Instance{
		Name: "web/app.2", Sandbox: "web", Process: "app", Index: 2, JSON: `{"image":"i"}`, Fingerprint: "f",
		Container: &configs.Container{
			Image: "/images/i", ConfigFile: "/c.yaml", Kind: configs.KindCommandOrDaemon, UserID: 1000, GroupID: 2000,
			MemoryLimit: 1 << 26, CPUShares: 512, FilenoLimit: 4096,
			PIDsLimit: 50, CPUQuota: 1500, CPUSet: "0-1", IOLimits: []configs.IOLimit{{Device: "/dev/sda", ReadBytes: 1, WriteBytes: 2, ReadOps: 3, WriteOps: 4}},
			AllowNewPrivileges: true, AddCapabilities: []string{"NET_RAW"}, WritableProcSys: true, UnmaskKernelFiles: true,
			RestartTimeout: 3 * time.Second, KillTimeout: 7 * time.Second, RestartProcessOnly: true,
			NormalExitCodes: []int{0, 9}, Executable: "/bin/app", Arguments: []string{"-v", "x y"},
			Environ:      []configs.EnvVar{{Name: "A", Value: "1"}, {Name: "Z", Value: "=2"}},
			PIDVariables: []string{"LISTEN_PID"}, Workdir: "/work",
			ResolvConf: configs.ResolvConf{Mount: yes(), CopyFromHost: true, Source: "/etc/resolv.conf"},
			HostsFile: configs.HostsFile{
				Mount: no(), CopyFromHost: true, Localhost: true, PublicHostname: true, Source: "/etc/hosts",
				Additional: []configs.Host{{Name: "db", Addr: netip.MustParseAddr("10.0.0.1")}, {Name: "six", Addr: netip.MustParseAddr("fd00::1")}},
			},
			StdoutStderrFile: "/log/out",
			Volumes: []configs.Volume{
				{MountPoint: "/ro", Kind: configs.VolumeReadonly, Source: "/srv/ro", SubPath: "a/b"},
				{MountPoint: "/db", Kind: configs.VolumePersistent, Source: "/srv/db", Mkdir: true, Mode: 0o700, User: 3, Group: 4, Exec: true},
				{MountPoint: "/state", Kind: configs.VolumeStatedir, SubPath: "s", Mode: 0o755},
				{MountPoint: "/tmp", Kind: configs.VolumeTmpfs, Size: 1 << 20, Mode: 0o1777},
			},
			TCPPorts: []configs.TCPPort{
				{Port: 443, FD: 3, Host: netip.MustParseAddr("::1"), Backlog: 5, NonBlock: true},
				{Port: 80, FD: 4, Host: netip.IPv4Unspecified(), Backlog: 128, ReuseAddr: true, ReusePort: true},
			},
		},
	}
}

// Covers: E4, E5, E7, E9, E12, E16
func TestRequestCarriesTheContainerConfig(t *testing.T) {
	sockets := []*os.File{new(os.File), new(os.File)}
	before := time.Now()
	got, err := BuildRequest(full(), testEnv, sockets, 6)
	if err != nil {
		t.Fatal(err)
	}
	if got.RecordHead.At.Before(before) {
		t.Errorf("At is %s", got.RecordHead.At)
	}
	got.RecordHead.At = time.Time{}
	want := &spawn.Request{
		Spec: &spawn.Spec{
			Name: "web/app.2", Image: "/images/i", MountDir: "/run/lithos/mnt", DevfsDir: "/var/lib/lithos/dev",
			StateDir:   "/run/lithos/state/web/app.2",
			ResolvConf: spawn.ResolvConf{Source: "/etc/resolv.conf", Mount: spawn.MountAlways},
			Hosts: spawn.Hosts{
				Source: "/etc/hosts", Localhost: true, PublicHostname: true, Mount: spawn.MountNever,
				Additional: []string{"10.0.0.1 db", "fd00::1 six"},
			},
			Volumes: []spawn.Volume{
				{MountPoint: "/ro", Kind: spawn.Readonly, Source: "/srv/ro", SubPath: "a/b"},
				{MountPoint: "/db", Kind: spawn.Persistent, Source: "/srv/db", Mkdir: true, Mode: 0o700, User: 3, Group: 4, Exec: true},
				{MountPoint: "/state", Kind: spawn.Statedir, SubPath: "s", Mode: 0o755},
				{MountPoint: "/tmp", Kind: spawn.Tmpfs, Size: 1 << 20, Mode: 0o1777},
			},
			Executable: "/bin/app", Argv: []string{"/bin/app", "-v", "x y"}, Env: []string{"A=1", "TERM=xterm", "Z==2"},
			PIDVars: []string{"LISTEN_PID"}, Workdir: "/work", UserID: 1000, GroupID: 2000, HostUser: 1000, HostGroup: 2000, FilenoLimit: 4096,
			StdioLog: "/var/log/lithos/stderr/web.log", StdoutStderrFile: "/log/out",
			Sockets: []int{4, 3}, RestartProcessOnly: true,
			RestartTimeout: 3 * time.Second, KillTimeout: 7 * time.Second, NormalExitCodes: []int{0, 9},
			AddCapabilities: 1 << 13, NewPrivileges: true, WritableProcSys: true, UnmaskKernelFiles: true,
		},
		Argv:       []string{"/usr/bin/lithos_knot", "--name", "web/app.2", "--master", "/etc/lithos/master.yaml", "--config", `{"image":"i"}`},
		Record:     "/run/lithos/containers/web/app.2",
		RecordHead: records.Created{Name: "web/app.2", Fingerprint: "f", Image: "/images/i", Config: "/c.yaml", Restarts: 6, KillTimeout: 7},
		Sockets:    sockets,
		Limits: cgroup.Limits{
			Memory: 1 << 26, CPUShares: 512, CPUQuota: 1500, CPUs: "0-1", PIDs: 50,
			IO: []cgroup.DeviceLimit{{Device: "/dev/sda", ReadBytes: 1, WriteBytes: 2, ReadOps: 3, WriteOps: 4}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\n%+v\nwant\n%+v\n%+v", got, got.Spec, want, want.Spec)
	}
}

// Covers: G2, G4, G5, G7, G15
func TestSocketsAreOrderedByPort(t *testing.T) {
	got := Sockets(full().Container)
	want := []actors.Socket{
		{Addr: netip.MustParseAddrPort("0.0.0.0:80"), Backlog: 128, ReuseAddr: true, ReusePort: true, UID: 1000, GID: 2000},
		{Addr: netip.MustParseAddrPort("[::1]:443"), Backlog: 5, NonBlock: true, UID: 1000, GID: 2000},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	mapped := full().Container
	mapped.UIDMap = []configs.IDMap{{Inside: 1000, Outside: 70000, Count: 1}}
	mapped.GIDMap = []configs.IDMap{{Inside: 2000, Outside: 80000, Count: 1}}
	if s := Sockets(mapped)[0]; s.UID != 70000 || s.GID != 80000 {
		t.Errorf("with a map the owner is %d:%d", s.UID, s.GID)
	}
	if Sockets(&configs.Container{}) != nil {
		t.Error("sockets for a container without ports")
	}
}

// Covers: G8, G18, L7
func TestBridgedContainerOpensItsOwnSockets(t *testing.T) {
	inst := full()
	c := inst.Container
	c.UIDMap = []configs.IDMap{{Inside: 1000, Outside: 70000, Count: 5}}
	c.GIDMap = []configs.IDMap{{Inside: 2000, Outside: 80000, Count: 5}}
	c.Network = &configs.Network{
		Bridge: "br0", Address: netip.MustParseAddr("10.0.0.7"), Prefix: netip.MustParsePrefix("10.0.0.0/24"),
		Gateway: netip.MustParseAddr("10.0.0.1"), AfterSetup: []string{"/bin/true", "10.0.0.7"},
	}
	c.Volumes = nil
	c.TCPPorts[0].External = true
	leased := Sockets(c)
	if len(leased) != 1 || leased[0].Addr.Port() != c.TCPPorts[0].Port {
		t.Fatalf("leased are %+v, want the external one alone", leased)
	}
	r, err := BuildRequest(inst, testEnv, []*os.File{os.Stdin}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Sockets {
		inside, ok := r.Inside[i]
		if ok != (f == nil) {
			t.Errorf("socket %d is leased and made inside, or neither", i)
		}
		if ok && (inside.UID != 70000 || inside.GID != 80000 || inside.Addr.Port() != c.TCPPorts[1].Port) {
			t.Errorf("made inside is %+v", inside)
		}
	}
	if len(r.Inside) != 1 || len(r.Sockets) != 2 {
		t.Errorf("%d sockets, %d of them made inside", len(r.Sockets), len(r.Inside))
	}
	want := &spawn.Network{Bridge: "br0", Address: c.Network.Address, Prefix: c.Network.Prefix, Gateway: c.Network.Gateway}
	if !reflect.DeepEqual(r.Network, want) || !slices.Equal(r.Spec.Network.AfterSetup, c.Network.AfterSetup) {
		t.Errorf("network %+v and %+v", r.Network, r.Spec.Network)
	}
	if s := r.Spec; s.UserID != 1000 || s.HostUser != 70000 || s.HostGroup != 80000 {
		t.Errorf("user %d is %d:%d on the host", s.UserID, s.HostUser, s.HostGroup)
	}
	if !slices.Equal(r.UIDMap, []spawn.IDMap{{Inside: 1000, Outside: 70000, Count: 5}}) {
		t.Errorf("uid-map %v", r.UIDMap)
	}
}

// Covers: E10
func TestTermIsPassedOn(t *testing.T) {
	env := func(pairs ...string) (vars []configs.EnvVar) {
		for i := 0; i < len(pairs); i += 2 {
			vars = append(vars, configs.EnvVar{Name: pairs[i], Value: pairs[i+1]})
		}
		return vars
	}
	tests := []struct {
		name string
		vars []configs.EnvVar
		term string
		want []string
	}{
		{"propagated", env("A", "1", "Z", "2"), "xterm", []string{"A=1", "TERM=xterm", "Z=2"}},
		{"default dumb", nil, "", []string{"TERM=dumb"}},
		{"the config's wins", env("TERM", "vt100"), "xterm", []string{"TERM=vt100"}},
		{"the config's empty one too", env("TERM", ""), "xterm", []string{"TERM="}},
		{"at the end", env("A", ""), "linux", []string{"A=", "TERM=linux"}},
	}
	for _, test := range tests {
		if got := buildEnv(&configs.Container{Environ: test.vars}, test.term); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// Covers: E11
func TestSecretsOverrideEnviron(t *testing.T) {
	inst, env := full(), *testEnv
	inst.Container.SecretEnviron = []configs.SecretVar{{Name: "PASSWORD"}, {Name: "TERM"}}
	inst.Container.TCPPorts = nil
	failure := errors.New("no key")
	env.Kernel = &actors.Kernel{OpenSecrets: func(*configs.Container) ([]configs.OpenedSecret, error) {
		return []configs.OpenedSecret{{Name: "PASSWORD", Value: secrets.NewSecret([]byte("hunter2"))}}, failure
	}}
	if _, err := BuildRequest(inst, &env, nil, 0); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	failure = nil
	r, err := BuildRequest(inst, &env, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Secrets) != 1 || r.Secrets[0].Name != "PASSWORD" || string(r.Secrets[0].Value) != "hunter2" {
		t.Errorf("secrets %d", len(r.Secrets))
	}
	if want := []string{"A=1", "Z==2"}; !slices.Equal(r.Spec.Env, want) { // TERM is a secret here
		t.Errorf("environment %q, want %q", r.Spec.Env, want)
	}
	if all := fmt.Sprintf("%v %+v %#v", r.Secrets, r, *r.Spec); strings.Contains(all, "hunter2") {
		t.Error("a request shows its secrets")
	}
}

// Covers: E13, E14
func TestEtcFilesWithoutTheHosts(t *testing.T) {
	inst := full()
	inst.Container.ResolvConf = configs.ResolvConf{Source: "/etc/resolv.conf"}
	inst.Container.HostsFile = configs.HostsFile{Source: "/etc/hosts", Mount: yes()}
	spec, err := buildSpec(inst, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if spec.ResolvConf != (spawn.ResolvConf{Mount: spawn.MountAuto}) {
		t.Errorf("resolv.conf: %+v", spec.ResolvConf)
	}
	if !reflect.DeepEqual(spec.Hosts, spawn.Hosts{Mount: spawn.MountAlways}) {
		t.Errorf("hosts: %+v", spec.Hosts)
	}
}

func TestVolumeOwnersGoThroughTheMapInForce(t *testing.T) {
	inst := full()
	inst.Container.UIDMap = []configs.IDMap{{Inside: 0, Outside: 100000, Count: 3}, {Inside: 3, Outside: 50, Count: 1}}
	inst.Container.GIDMap = []configs.IDMap{{Inside: 0, Outside: 200000, Count: 1000}}
	volumes, err := buildVolumes(inst.Container)
	if err != nil {
		t.Fatal(err)
	}
	if v := volumes[1]; v.User != 50 || v.Group != 200004 {
		t.Errorf("owner %d:%d", v.User, v.Group)
	}
	inst.Container.Volumes[1].User = 4
	if _, err := BuildRequest(inst, testEnv, nil, 0); err == nil {
		t.Error("no error for an owner that is not in the map")
	}
	inst.Container.Volumes[1] = configs.Volume{Kind: "Else"}
	if _, err := BuildRequest(inst, testEnv, nil, 0); err == nil {
		t.Error("no error for an unknown kind of volume")
	}
}
