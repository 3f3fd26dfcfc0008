package configs

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"lithos/configs/document"
)

// Covers: A3
func TestKebabAndSnakeCase(t *testing.T) {
	plan, _ := hostConfig{
		master:    "default_log_dir: /logs\ncgroup-name: null\nstdio_log-dir: /out\n",
		sandbox:   "image_dir_levels: 1\nallow_tcp_ports: [80]\ndefault_user: 7\n",
		entry:     "extra_secrets_namespaces: [a]\n",
		container: "memory_limit: 1Mi\ntcp-ports:\n  80: {fd: 3, reuse_port: true, set-non_block: true}\nresolv_conf: {copy_from_host: false}\n",
	}.good(t)
	equal(t, "default_log_dir", plan.Master.DefaultLogDir, "/logs")
	equal(t, "stdio_log-dir", plan.Master.StdioLogDir, "/out")
	c := plan.Sandboxes[0].Processes[0].Instances[0].Container
	equal(t, "default_user", c.UserID, uint32(7))
	equal(t, "memory_limit", c.MemoryLimit, int64(1<<20))
	equal(t, "reuse_port", c.TCPPorts[0].ReusePort, true)
	equal(t, "set-non_block", c.TCPPorts[0].NonBlock, true)
	equal(t, "copy_from_host", c.ResolvConf.CopyFromHost, false)
}

// Covers: A4, A5
func TestUnknownKeysHavePositions(t *testing.T) {
	runProblems(t, []problemCase{
		{
			name: "A4 unknown keys are errors, all of them, with a suggestion",
			host: hostConfig{container: "executabel: /bin/x\nvolums: {}\nfoo: 1\nexecutable: /bin/x\n"},
			want: []string{
				"/images/v1/config/app.yaml:1:1: error: executabel: unknown key, did you mean `executable`?",
				"/images/v1/config/app.yaml:2:1: error: volums: unknown key, did you mean `volumes`?",
				"/images/v1/config/app.yaml:3:1: error: foo: unknown key",
			},
		},
		{
			name: "A4 keys that begin with an underscore are ignored",
			host: hostConfig{
				sandbox:   "_x: [1, {a: b}]\n",
				process:   "_base: &b {image: v1}\napp: {<<: *b, config: /config/app.yaml, _note: 1}\n",
				container: "_anchors: {t: &t 5}\nkill-timeout: *t\n",
			},
		},
		{
			name: "A4 what looks like a process but is ignored is told",
			host: hostConfig{process: "_app: {image: v1, config: /config/app.yaml}\n"},
			want: []string{"/processes/web.yaml:1:1: warning: _app: is not run: names that begin with `_` are for anchors"},
		},
		{
			name: "A5 all errors of a file are told with line and column",
			host: hostConfig{process: "app:\n  image: v1\n  config: config.yaml\n  instances: many\n  kind: Deamon\nfix:\n  - 1\n"},
			want: []string{
				`/processes/web.yaml:3:11: error: app.config: "config.yaml" must be an absolute path inside the image`,
				`/processes/web.yaml:4:14: error: app.instances: "many" is not a number`,
				"/processes/web.yaml:5:9: error: app.kind: \"Deamon\" is not one of Daemon, Command, did you mean `Daemon`?",
				`/processes/web.yaml:7:3: error: fix: expected a mapping, got a list`,
			},
		},
		{
			name: "A5 columns count letters, not bytes",
			host: hostConfig{container: "environ: {ÄÖÜ: é, \"€\": {}}\n"},
			want: []string{`app.yaml:1:24: error: environ.€: expected a string, got a mapping`},
		},
		{
			name: "A5 a key given twice",
			host: hostConfig{container: "workdir: /a\nworkdir: /b\n"},
			want: []string{"app.yaml:2:1: error: workdir: duplicate key, it was given in line 1 already"},
		},
		{
			name: "A5 a key given in both spellings",
			host: hostConfig{container: "user-id: 1\nuser_id: 1\n"},
			want: []string{"app.yaml:2:1: warning: user_id: the same as `user-id`, which is given too"},
		},
		{
			name: "A5 a list where a key should be",
			host: hostConfig{container: "? [a]\n: b\n"},
			want: []string{"app.yaml:1:3: error: a key must be a plain word"},
		},
	})
}

// Covers: A6
func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		bad  bool
	}{
		{text: "0"}, {text: "60", want: 60}, {text: "-5", want: -5}, {text: "+5", want: 5},
		{text: "0x1F", want: 31}, {text: "0o777", want: 511}, {text: "0b101", want: 5},
		{text: "1_000_000", want: 1e6}, {text: "0x0b", want: 11}, {text: "0b", bad: true}, {text: "0x1_0", want: 16},
		{text: "1k", want: 1000}, {text: "2M", want: 2e6}, {text: "3G", want: 3e9},
		{text: "1ki", want: 1024}, {text: "100Mi", want: 100 << 20}, {text: "4Gi", want: 4 << 30},
		{text: "100m", want: 100e6}, {text: "1g", want: 1e9}, // the manual's minimal example
		{text: "100 Mi", want: 100 << 20}, {text: "0x10k", want: 16000},
		{text: "9223372036854775807", want: math.MaxInt64},
		{text: "0777", want: 777},
		{text: "", bad: true}, {text: "M", bad: true}, {text: "1.5Gi", bad: true}, {text: "1Ki", bad: true},
		{text: "1K", bad: true}, {text: "1mi", bad: true}, {text: "1MB", bad: true}, {text: "1T", bad: true},
		{text: "1 000", bad: true}, {text: "_1", bad: true}, {text: "1_", bad: true}, {text: "0x", bad: true},
		{text: "0b2", bad: true}, {text: "0X10", bad: true}, {text: "--5", bad: true}, {text: "1e3", bad: true},
		{text: "9223372036854775808", bad: true}, {text: "99999999999Gi", bad: true}, {text: "٣", bad: true},
		{text: "ten", bad: true}, {text: "0x-5", bad: true}, {text: "1\tk", bad: true},
	} {
		got, err := document.ParseInteger(c.text)
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("A6 %q: got %d, %v; want %d, error %v", c.text, got, err, c.want, c.bad)
		}
	}
	runProblems(t, []problemCase{
		{
			name: "A6 a wrong unit names the right ones",
			host: hostConfig{container: "memory-limit: 100MB\n"},
			want: []string{`app.yaml:1:15: error: memory-limit: "100MB" is not a number: write digits, 0x, 0o or 0b, and one of the units k M G ki Mi Gi`},
		},
		{
			name: "A6 a leading zero is not octal",
			host: hostConfig{container: "volumes:\n  /tmp: !Tmpfs {mode: 0777}\n"},
			want: []string{"app.yaml:2:23: warning: volumes./tmp.mode: 0777 is the decimal number 777; an octal one is written 0o777"},
		},
		{
			name: "A6 a number out of range",
			host: hostConfig{sandbox: "image-dir-levels: 0x11\n"},
			want: []string{"web.yaml:1:19: error: image-dir-levels: 0x11 is not in 1 to 16"},
		},
	})
}

// Covers: A7
func TestBooleans(t *testing.T) {
	c := hostConfig{container: "interactive: true\nrestart-process-only: false\nhosts-file: {mount: 'true'}\n"}.app(t)
	equal(t, "interactive", c.Interactive, true)
	equal(t, "mount", *c.HostsFile.Mount, true)
	for _, word := range []string{"yes", "on", "True", "TRUE", "1", "y", "[]"} {
		_, problems, _ := hostConfig{container: "interactive: " + word + "\n"}.load(t)
		wantProblems(t, problems, "app.yaml:1:14: error: interactive: expected true or false, got ")
	}
}

// Covers: A8
func TestNulls(t *testing.T) {
	for _, null := range []string{"null", "~", "", "Null", "NULL"} {
		plan, _ := hostConfig{
			master:    fmt.Sprintf("cgroup-name: %s\nconfig-log-dir: %s\nlog-level: %s\n", null, null, null),
			sandbox:   fmt.Sprintf("config-file: %s\nreadonly-paths: %s\n", null, null),
			container: fmt.Sprintf("arguments: %s\nresolv-conf: {mount: %s}\nvolumes: %s\nuser-id: %s\n", null, null, null, null),
		}.good(t)
		equal(t, "cgroup-name", plan.Master.CgroupName, "")
		equal(t, "config-log-dir", plan.Master.ConfigLogDir, "")
		equal(t, "log-level", plan.Master.LogLevel, "warn")
	}
	runProblems(t, []problemCase{
		{
			name: "A8 nil is the manual's prose, not a value",
			host: hostConfig{container: "resolv-conf:\n  mount: nil # which basically means auto\n"},
			want: []string{`app.yaml:2:10: error: resolv-conf.mount: expected true or false, got "nil"; for none write null, or leave the key out`},
		},
		{
			name: "A8 a variable of environ can't be null",
			host: hostConfig{container: "environ: {HOME: }\n"},
			want: []string{`environ.HOME: expected a string, got nothing; an empty one is written ""`},
		},
		{
			name: "A8 the word null in quotes is a string",
			host: hostConfig{master: "cgroup-name: 'null'\n"},
		},
	})
}

// Covers: A9
func TestAnchorsAndMergeKeys(t *testing.T) {
	plan, _ := hostConfig{process: `
_defaults: &defaults
  image: v1
  config: /config/app.yaml
  variables: &vars {a: "1", b: "2"}
_more: &more {instances: 4, kind: Command}
app:
  <<: [*defaults, *more]
  kind: Daemon
  variables: {<<: *vars, b: "3"}
`, container: "kind: CommandOrDaemon"}.load2(t)
	app := plan.Sandboxes[0].Processes[0].Config
	equal(t, "the first mapping wins, the key itself over both", *app, ProcessConfig{
		Kind: KindDaemon, Image: "v1", Config: "/config/app.yaml", Instances: 4,
		Variables: map[string]string{"a": "1", "b": "3"},
	})
	runProblems(t, []problemCase{
		{
			name: "A9 includes are refused",
			host: hostConfig{container: "metadata:\n  x: !*Include other.yaml\n"},
			want: []string{"app.yaml:2:6: error: !*Include is not supported: a config is one file, it can't include others"},
		},
		{
			name: "A9 a merge key takes a mapping",
			host: hostConfig{container: "environ:\n  <<: [1]\n"},
			want: []string{"app.yaml:2:8: error: environ: `<<` takes a mapping or a list of mappings, got \"1\""},
		},
		{
			name: "A9 an anchor inside itself",
			host: hostConfig{container: "environ: &e\n  <<: *e\n"},
			want: []string{"app.yaml:1:10: error: this value contains itself, by the alias of an anchor"},
		},
		{
			name: "A9 mistakes of a merged mapping are told where they stand",
			host: hostConfig{container: "_t: &t {fd: 3, hots: '::'}\ntcp-ports: {80: *t}\n"},
			want: []string{"app.yaml:1:16: error: tcp-ports.80.hots: unknown key, did you mean `host`?"},
		},
	})
}

// load2 loads a host of which only warnings may be told.
func (h hostConfig) load2(t testing.TB) (*Plan, string) {
	t.Helper()
	plan, problems, dir := h.load(t)
	if problems.HasErrors() {
		t.Fatalf("unexpected errors:\n%s", format(problems))
	}
	return plan, dir
}

// Covers: A10
func TestTags(t *testing.T) {
	c := hostConfig{
		sandbox: "readonly-paths: {/ro: /srv/ro}\nwritable-paths: {/db: /srv/db}\n",
		container: `
volumes:
  /a: !Readonly /ro
  /b: !ReadOnly /ro/x
  /c: !Persistent /db
  /d: !Persistent {path: /db}
  /e: !Statedir /sub
  /f: !Statedir {path: /sub}
  /g: !Tmpfs {size: 100Mi}
  /h: !Tmpfs
  /i: !Statedir
`}.app(t)
	equal(t, "!ReadOnly", [2]string{string(c.Volumes[1].Kind), c.Volumes[1].SubPath}, [2]string{"Readonly", "x"})
	c.Volumes[2].MountPoint, c.Volumes[4].MountPoint = "/d", "/f"
	equal(t, "scalar !Persistent", c.Volumes[2], c.Volumes[3])
	equal(t, "scalar !Statedir", c.Volumes[4], c.Volumes[5])
	equal(t, "a tag without a value", c.Volumes[7].Size, int64(100<<20))
	equal(t, "the whole state dir", c.Volumes[8].SubPath, "")
	runProblems(t, []problemCase{
		{
			name: "A10 an unknown tag",
			host: hostConfig{container: "volumes:\n  /a: !Persitent /x\n"},
			want: []string{"app.yaml:2:7: error: volumes./a: unknown kind of volume !Persitent, did you mean `!Persistent`?"},
		},
		{
			name: "A10 a volume without a tag",
			host: hostConfig{container: "volumes:\n  /a: /x\n"},
			want: []string{"app.yaml:2:7: error: volumes./a: a volume has a tag, one of !Readonly, !Persistent, !Statedir, !Tmpfs"},
		},
		{
			name: "A10 a tag where none belongs",
			host: hostConfig{container: "workdir: !Path /x\nenviron: !Env {A: b}\nnormal-exit-codes: !L [3]\nmemory-limit: !!binary aGk=\n"},
			want: []string{
				"app.yaml:1:10: warning: workdir: the tag !Path means nothing here",
				"app.yaml:2:10: error: environ: unexpected tag !Env",
				"app.yaml:3:20: error: normal-exit-codes: unexpected tag !L",
				"app.yaml:4:15: warning: memory-limit: the tag !!binary means nothing here",
				"app.yaml:4:15: error: memory-limit: \"aGk=\" is not a number",
			},
		},
		{
			name: "A10 YAML's own tags are fine",
			host: hostConfig{container: "workdir: !!str /x\nmemory-limit: !!int 5000\n"},
		},
	})
}

// Covers: A11
func TestWorkDirHasTwoSpellings(t *testing.T) {
	for _, key := range []string{"workdir", "work-dir", "work_dir"} {
		equal(t, "A11 "+key, hostConfig{container: key + ": /app/\n"}.app(t).Workdir, "/app")
	}
	_, problems, _ := hostConfig{container: "workdir: /a\nwork-dir: /a\n"}.load(t)
	wantProblems(t, problems, "app.yaml:2:1: warning: work-dir: the same as `workdir`, which is given too")
}

// Covers: A13
func TestRanges(t *testing.T) {
	plan, _ := hostConfig{sandbox: "allow-users: [1, 99, 1000-2000, ' 5 - 7 ', '0-4294967295']\n"}.good(t)
	equal(t, "allow-users", plan.Sandboxes[0].Config.AllowUsers,
		[]Range{{First: 1, Last: 1}, {First: 99, Last: 99}, {First: 1000, Last: 2000}, {First: 5, Last: 7}, {First: 0, Last: math.MaxUint32}})
	runProblems(t, []problemCase{{
		name: "A13 what is no range",
		host: hostConfig{sandbox: "allow-users: [5-1, x, 1-2-3, -1, 4294967296, '', [1]]\nallow-groups: 1-5\n"},
		want: []string{
			`web.yaml:1:15: error: allow-users[0]: "5-1" is not a range: the first number is larger than the last`,
			`web.yaml:1:20: error: allow-users[1]: "x" is not a range: write a number or two of them, such as 1000-2000`,
			`allow-users[2]: "1-2-3" is not a range`,
			`allow-users[3]: "-1" is not a range`,
			`allow-users[4]: "4294967296" is not a range: 4294967295 is the largest number here`,
			`allow-users[5]: "" is not a range`,
			`allow-users[6]: expected a string, got a list`,
			`web.yaml:2:15: error: allow-groups: expected a list, got "1-5"`,
		},
	}})
}

func TestHostileTextCostsLittle(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	merge := "m0: &m0 {k: v}\n"
	for i := 1; i < 40; i++ {
		merge += fmt.Sprintf("m%d: &m%d {<<: [*m%d, *m%d]}\n", i, i, i-1, i-1)
	}
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "%", fmt.Sprint(i)))
		}
		return b.String()
	}
	many := "volumes:\n" + strings.Repeat("  ? [x]\n  : y\n", 5000)
	for _, c := range []struct{ name, text, want string }{
		{"anchor bomb", bomb, "x:6:5: error: more than 262144 values, each alias counted as what it stands for"},
		{"anchor bomb in metadata", "metadata:\n" + indent(bomb), "more than 262144 values"},
		{"merge bomb", merge + "environ: *m39\n", "more than 262144 values"},
		{"a megabyte of commas", "[" + strings.Repeat(",", 1<<20-2), "the file has too many items"},
		{"too large", strings.Repeat(" ", 1<<20+1), "the file is larger than 1048576 bytes"},
		{"deep flow", strings.Repeat("[", 100000), "exceeded max depth"},
		{"deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 deep"},
		{"deep block", strings.Repeat("- ", 100000), "exceeded max depth"},
		{"many problems", many, "more than 100 problems, the rest is left out"},
		{"unknown keys", numbered(80000, "key%: 1\n"), "key0: unknown key"},
		{"undeclared variables", "variables:\n" + numbered(20000, "  variable%: !Name\n") + "arguments:\n" + numbered(20000, "- '@{variabel%}'\n"), `variable "variabel0" is not declared`},
		{"many uses", "variables:\n" + numbered(10000, "  v%: !Name\n") + "arguments: ['" + strings.Repeat("@{v9999}", 80000) + "']\n", "executable: is required"},
		{"a long map", "uid-map:\n" + numbered(20000, "- {inside: %, outside: %, count: 1}\n"), "has 20000 lines, the kernel takes at most 340"},
		{"many sockets", "fileno-limit: 100000\nvariables:\n" + numbered(9000, "  v%: !TcpPort {activation: systemd}\n") + "tcp-ports:\n" + numbered(9000, "  '@{v%}': {fd: 1%}\n"), "descriptor 10 is that of variable"},
		{"many choices", "variables: {v: !Choice [" + numbered(90000, "c%,") + "]}\n", "executable: is required"},
		{"NUL", "executable: \"/bin/x\\0\"\n", "has a NUL byte in it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			tmpl := parseTemplate(&document.Collector{File: "x"}, []byte(c.text))
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			problems := Owned(tmpl.problems, "", "")
			if len(problems) > document.MaxProblems+1 || !strings.Contains(format(problems), c.want) {
				t.Errorf("got %d problems, want %q:\n%.500s", len(problems), c.want, format(problems))
			}
		})
	}
}

func TestHostileTextCantForgeLogLines(t *testing.T) {
	_, problems, _ := hostConfig{container: "\"a\\nERROR: forged\\e[2J\": 1\nworkdir: \"b\\nc\\u202e\"\n"}.load(t)
	wantProblems(t, problems,
		`error: a\nERROR: forged\x1b[2J: unknown key`,
		`warning: workdir: "b\nc\u202e" is no absolute path`)
}
