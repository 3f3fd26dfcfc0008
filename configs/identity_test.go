package configs

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The original's own examples of the command line (its child_config tests).
//
// Covers: D1
func TestCanonicalJSON(t *testing.T) {
	for _, c := range []struct {
		name, want string
		config     ProcessConfig
		index      int
	}{
		{name: "plain", config: ProcessConfig{Image: "myproj.4a20772b", Config: "/config/staging/myproj.yaml", Instances: 3, Kind: KindDaemon, Variables: map[string]string{}},
			want: `{"instances":1,"image":"myproj.4a20772b","config":"/config/staging/myproj.yaml","kind":"Daemon"}`},
		{name: "variables sorted", config: ProcessConfig{Image: "i", Config: "/c", Kind: KindCommand, Variables: map[string]string{"c": "d", "a": "b<&>é"}},
			want: `{"instances":1,"image":"i","config":"/c","variables":{"a":"b<&>é","c":"d"},"kind":"Command"}`},
		{name: "all", index: 1, config: ProcessConfig{Image: "i", Config: "/c", Kind: KindDaemon, Variables: map[string]string{"a": "b"},
			ExtraSecretsNamespaces: []string{"z", "y"}, IPAddresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}},
			want: `{"instances":1,"image":"i","config":"/c","variables":{"a":"b"},"extra_secrets_namespaces":["z","y"],"ip_address":"fd00::1","kind":"Daemon"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, "JSON", instanceJSON(&c.config, c.index), c.want)
		})
	}
	plan, _ := hostConfig{process: "b: {image: v1, config: /config/app.yaml, instances: 2}\na: {image: v1, config: /config/app.yaml, ip-addresses: ['::1']}\n"}.good(t)
	equal(t, "P7 the whole file", plan.Sandboxes[0].ProcessesJSON(),
		`{"a":{"instances":1,"image":"v1","config":"/config/app.yaml","ip_addresses":["::1"],"kind":"Daemon"},`+
			`"b":{"instances":2,"image":"v1","config":"/config/app.yaml","kind":"Daemon"}}`)
	equal(t, "an instance of it", plan.Sandboxes[0].Processes[1].Instances[1].JSON,
		`{"instances":1,"image":"v1","config":"/config/app.yaml","kind":"Daemon"}`)
}

// supervisorOnly are the fields of Container that no container sees.
var supervisorOnly = map[string]bool{
	"Kind": true, "KillTimeout": true, "StopSignal": true, "NormalExitCodes": true, "RestartTimeout": true, "RestartBackoff": true, "Standby": true,
	"Ready": true, "Healthcheck": true,
	"SecretEnvironFile": true, "SecretsPrivateKey": true, "SecretsNamespaces": true,
}

// Covers: C23
func TestFingerprintCoversEveryContainerField(t *testing.T) {
	base := Container{Environ: []EnvVar{{"A", "b"}}, Volumes: []Volume{{MountPoint: "/a"}}}
	m := &Master{DevfsDir: "/dev"}
	before := fingerprint(&base, m)
	equal(t, "the same again", fingerprint(&base, m), before)
	typ := reflect.TypeOf(base)
	for i := range typ.NumField() {
		changed := base
		change(t, reflect.ValueOf(&changed).Elem().Field(i))
		if same := fingerprint(&changed, m) == before; same != supervisorOnly[typ.Field(i).Name] {
			t.Errorf("with another %s the fingerprint stays the same: %v", typ.Field(i).Name, same)
		}
	}
	equal(t, "another devfs", fingerprint(&base, &Master{DevfsDir: "/dev2"}) == before, false)
	// PID 1 itself restarts the program then, so it holds the timeout.
	base.RestartProcessOnly = true
	before = fingerprint(&base, m)
	base.RestartTimeout = time.Minute
	equal(t, "restart-timeout with restart-process-only", fingerprint(&base, m) == before, false)
}

// change makes a value of any type another one.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
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
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		change(t, v.Field(0))
	default:
		t.Fatalf("a field of kind %s: tell change how to change it", v.Kind())
	}
}

// Covers: C23, O4
func TestEffectiveContainerChanges(t *testing.T) {
	base := hostConfig{
		sandbox:   "writable-paths: {/db: /srv/db}\nallow-users: [1-10]\n",
		entry:     "variables: {v: a}\n",
		container: "variables: {v: !Choice [a, b]}\narguments: ['@{v}']\nvolumes: {/db: !Persistent /db}\n",
	}
	maps := "uid-map: [{inside: 0, outside: 100, count: 20}]\ngid-map: [{inside: 0, outside: 100, count: 20}]\n"
	// All are loaded from the same directory, whose name is in the container.
	dir := writeTree(t, base.files())
	print := func(h hostConfig) string {
		t.Helper()
		for name, text := range h.files() {
			writeFile(t, dir+"/"+name, strings.ReplaceAll(text, "HOST", dir))
		}
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems)
		return plan.Sandboxes[0].Processes[0].Instances[0].Fingerprint
	}
	before := print(base)
	for _, c := range []struct {
		name   string
		change func(*hostConfig)
		same   bool
	}{
		{name: "C23 nothing", change: func(*hostConfig) {}, same: true},
		{name: "C23 widening allow-users restarts nothing", same: true,
			change: func(h *hostConfig) { h.sandbox = strings.ReplaceAll(h.sandbox, "1-10", "1-20") }},
		{name: "C23 a path that is not used", same: true,
			change: func(h *hostConfig) { h.sandbox = strings.ReplaceAll(h.sandbox, "{/db:", "{/other: /x, /db:") }},
		{name: "C23 a new uid-map restarts what it maps", change: func(h *hostConfig) { h.sandbox += maps }},
		{name: "C23 another directory of a volume", change: func(h *hostConfig) { h.sandbox = strings.ReplaceAll(h.sandbox, "/srv/db", "/srv/db2") }},
		{name: "C23 another default-user", change: func(h *hostConfig) { h.sandbox += "default-user: 2\n" }},
		{name: "C23 additional-hosts", change: func(h *hostConfig) { h.sandbox += "additional-hosts: {a: 1.2.3.4}\n" }},
		{name: "C23 the sandbox's resolv-conf", change: func(h *hostConfig) { h.sandbox += "resolv-conf: /etc/r\n" }},
		{name: "C23 the sandbox's log", same: true, change: func(h *hostConfig) { h.sandbox += "log-file: x\nlog-level: debug\n" }},
		{name: "C23 a variable that is used", change: func(h *hostConfig) { h.entry = "variables: {v: b}\n" }},
		{name: "C23 a variable that is not", same: true, change: func(h *hostConfig) { h.entry = "variables: {v: a, w: b}\n" }},
		{name: "C23 more instances", same: true, change: func(h *hostConfig) { h.entry += "instances: 5\n" }},
		{name: "C23 metadata and time-outs", same: true, change: func(h *hostConfig) {
			h.container += "metadata: {a: b}\nrestart-timeout: 9\nkill-timeout: 9\nnormal-exit-codes: [9]\n"
		}},
		{name: "C23 the same in other words", same: true, change: func(h *hostConfig) {
			h.container = "# comment\n" + strings.ReplaceAll(h.container, "'@{v}'", "\"@{ v }\"") + "work_dir: /\n"
		}},
		{name: "C23 a socket", change: func(h *hostConfig) { h.container += "tcp-ports: {80: {fd: 3}}\n" }},
		{name: "C23 memory-limit", change: func(h *hostConfig) { h.container += "memory-limit: 1Gi\n" }},
		{name: "C23 devfs-dir", change: func(h *hostConfig) { h.master = "devfs-dir: /dev\n" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := base
			c.change(&h)
			if same := print(h) == before; same != c.same {
				t.Errorf("the same container: %v, want %v", same, c.same)
			}
		})
	}
	with := base
	with.container += "tcp-ports: {80: {fd: 3}}\n"
	external := base
	external.container += "tcp-ports: {80: {fd: 3, external: true}}\n"
	equal(t, "G8 external without a bridge", print(with), print(external))
}

// The hashed text must not change: an upgrade would replace all containers.
//
// Covers: O2
func TestFingerprintsAreStable(t *testing.T) {
	yes := true
	for _, c := range []struct {
		value any
		want  string
	}{
		{struct {
			S    string
			Kind Kind
			B, C bool
			I    int
			D    time.Duration
			U    []uint32
			A    netip.Addr
			P    *bool
			R    []Range
			None []string
			Zero uint8
		}{"a\"\n", "Daemon", true, false, -5, 1500 * time.Millisecond, []uint32{1, 2}, netip.MustParseAddr("10.0.0.1"), &yes, []Range{{First: 1, Last: 2}}, []string{}, 0},
			`{S:"a\"\n",Kind:"Daemon",B:true,I:-5,D:1.5s,U:[2:1,2,]A:"10.0.0.1"P:&true,R:[1:{First:1,Last:2,}]}`},
		{struct{ U64 uint64 }{1 << 63}, "{U64:9223372036854775808,}"},
	} {
		equal(t, "what is hashed", string(appendSet(nil, reflect.ValueOf(c.value))), c.want)
	}
}

func TestAQuotedTextIsWhatItWas(t *testing.T) {
	for _, s := range []string{"", "a b", "~", "\x7f", "\x1f", `"`, `\`, "a\n", "é", "\u00ad", "\xff", "😀", "a'b`"} {
		equal(t, s, string(appendQuoted(nil, s)), strconv.Quote(s))
	}
}
