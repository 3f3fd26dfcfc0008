package configs

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full is a container with something in every field, so that each can be
// changed.
func full() *Container {
	yes := true
	return &Container{
		Image: "/i", ConfigFile: "/c", Kind: KindDaemon, UserID: 1, GroupID: 2,
		UIDMap: []IDMap{{1, 2, 3}}, GIDMap: []IDMap{{1, 2, 3}},
		MemoryLimit: 1, CPUShares: 2, FilenoLimit: 3, PIDsLimit: 4, CPUQuota: 1500, CPUSet: "0", IOLimits: []IOLimit{{Device: "/dev/sda", ReadBytes: 1}},
		AllowNewPrivileges: true, AddCapabilities: []string{"NET_RAW"}, WritableProcSys: true, UnmaskKernelFiles: true, Seccomp: SeccompDefault,
		RestartTimeout: time.Second, KillTimeout: time.Second,
		Ready:           &Ready{Check: Check{Kind: CheckTCP, Addr: netip.MustParseAddrPort("[::1]:1")}},
		Healthcheck:     &Healthcheck{Check: Check{Kind: CheckCommand, Command: []string{"/c"}}, Failures: 1},
		NormalExitCodes: []int{1}, Executable: "/e", Arguments: []string{"a"},
		Environ: []EnvVar{{"A", "b"}}, PIDVariables: []string{"P"}, Workdir: "/",
		SecretEnviron: []SecretVar{{Name: "S", Values: []string{"v2:"}}}, SecretEnvironFile: "/s", SecretsPrivateKey: "/k", SecretsNamespaces: []string{"n"},
		ResolvConf:       ResolvConf{Mount: &yes, Source: "/r"},
		HostsFile:        HostsFile{Mount: &yes, Source: "/h", Additional: []Host{{"n", netip.MustParseAddr("::1")}}},
		StdoutStderrFile: "/o",
		Volumes:          []Volume{{MountPoint: "/v", Kind: VolumeTmpfs, Source: "/s", SubPath: "p"}},
		TCPPorts:         []TCPPort{{Port: 1, Host: netip.MustParseAddr("::1")}},
		Network:          &Network{Bridge: "br0", Address: netip.MustParseAddr("::1"), AfterSetup: []string{"x"}},
	}
}

func instanceOf(c *Container) *Instance {
	m := &Master{DevfsDir: "/dev"}
	return &Instance{Name: "web/app.0", Container: c, Fingerprint: fingerprint(c, m), recipe: &recipe{master: m}}
}

// alter changes a value, or the first element of it, to something else.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Pointer:
		v.Set(reflect.Zero(v.Type()))
	case reflect.Slice:
		v.Set(reflect.AppendSlice(reflect.Zero(v.Type()), v))
		alter(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			v.Set(reflect.ValueOf(netip.MustParseAddr("127.0.0.1")))
			return
		}
		alter(v.Field(0))
	default:
		panic(v.Kind())
	}
}

// Each difference of two containers has a reason that can be shown, and it
// replaces the container exactly if the fingerprint differs.
//
// Covers: C23, O9
func TestDiffNamesEveryField(t *testing.T) {
	container := reflect.TypeFor[Container]()
	for i := range container.NumField() {
		for _, once := range []bool{false, true} { // restart-process-only
			a, b := full(), full()
			a.RestartProcessOnly, b.RestartProcessOnly = once, once
			alter(reflect.ValueOf(b).Elem().Field(i))
			x, y := instanceOf(a), instanceOf(b)
			changes := Diff(x, y)
			if len(changes) == 0 {
				t.Errorf("no difference is shown when %s changes", container.Field(i).Name)
			}
			restart := false
			for _, c := range changes {
				restart = restart || !c.Later
			}
			if restart != (x.Fingerprint != y.Fingerprint) {
				t.Errorf("%s changed (restart-process-only %v): told is %+v, the fingerprint differs: %v",
					container.Field(i).Name, once, changes, x.Fingerprint != y.Fingerprint)
			}
		}
	}
	if changes := Diff(instanceOf(full()), instanceOf(full())); changes != nil {
		t.Errorf("the same differs by %+v", changes)
	}
}

func describe(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "%s %s\n", s.Action, s.Name)
		for _, c := range s.Changes {
			fmt.Fprintf(&b, "  %s: %q -> %q %v\n", c.Option, c.Old, c.New, c.Later)
		}
	}
	return b.String()
}

// Covers: C23, D12, O9
func TestCompareNamesSteps(t *testing.T) {
	const entry = "{image: v1, config: /config/app.yaml"
	load := func(h hostConfig) *Sandbox {
		files := h.files()
		files["images/v1/config/app.yaml"] = strings.ReplaceAll(files["images/v1/config/app.yaml"], "HOST", "")
		plan, _ := Load(Options{MasterFile: writeTree(t, files) + "/master.yaml"})
		s := plan.Sandboxes[0]
		// The hosts lie in different directories.
		for _, p := range s.Processes {
			for _, in := range p.Instances {
				in.Container.Image = "/image"
				in.Fingerprint = fingerprint(in.Container, in.recipe.master)
			}
		}
		return s
	}
	many := load(hostConfig{process: "a: " + entry + ", instances: 11}\nc: " + entry + ", kind: Command}\n", container: "kind: CommandOrDaemon"})
	few := load(hostConfig{process: "a: " + entry + ", instances: 1}\nb: " + entry + "}\nc: " + entry + "}\n", container: "kind: CommandOrDaemon"})
	before := hostConfig{process: "a: " + entry + "}\n", container: "environ: {A: b, OLD: x}\nkill-timeout: 1\n"}
	after := before
	after.container = "environ: {A: c, NEW: x}\nkill-timeout: 2\n"
	later := before
	later.container = "environ: {A: b, OLD: x}\nkill-timeout: 2\n"
	broken := before
	broken.process = "a: {image: v1}\n"
	gone := before
	gone.process = "- no\n"
	for _, tt := range []struct {
		name       string
		old, fresh *Sandbox
		want       string
	}{
		{"O9 fewer and more", many, few, "keep web/a.0\n" + stops(1, 11) + "start web/b.0\nstart web/c.0\n"},
		{"O9 a command is not started", few, many, "keep web/a.0\n" + strings.ReplaceAll(stops(1, 11), "stop", "start") + "stop web/b.0\nstop web/c.0\n"},
		{"O9 the first", nil, few, "start web/a.0\nstart web/b.0\nstart web/c.0\n"},
		{"O9 C23 replaced", load(before), load(after), `replace web/a.0
  kill-timeout: "1" -> "2" true
  environ.A: "b" -> "c" false
  environ.NEW: "" -> "x" false
  environ.OLD: "x" -> "" false
`},
		{"O9 C23 kept with a change", load(before), load(later), "keep web/a.0\n  kill-timeout: \"1\" -> \"2\" true\n"},
		{"D12 a broken entry in place", load(broken), load(before), "unknown web/a.0\n"},
		{"D12 a broken file in place", load(gone), load(before), "unknown web/a.0\n"},
		{"D12 a broken file changes nothing", load(before), load(gone), "keep web/a.0\n"},
		{"D12 a broken entry changes nothing", load(before), load(broken), "keep web/a.0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := describe(Compare(tt.old, tt.fresh)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func stops(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "stop web/a.%d\n", i)
	}
	return b.String()
}
