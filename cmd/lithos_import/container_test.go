package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"lithos/configs"
)

// load runs an imported image through the parser of the configs, in a sandbox
// that allows everything.
func load(t *testing.T, images string, r result) (*configs.Container, configs.Problems) {
	t.Helper()
	host := t.TempDir()
	write := func(name, text string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(host, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(host, name), []byte(text), 0o644))
	}
	write("master.yaml", "")
	write("sandboxes/web.yaml", "image-dir: "+images+"\nallow-users: [1-70000]\nallow-groups: [0-70000]\ndefault-user: 1000\ndefault-group: 2000\nwritable-paths: {/volumes: "+host+"}\n")
	write("processes/web.yaml", "app: {image: "+r.Name+", config: "+r.Config+"}\n")
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(host, "master.yaml")})
	if plan == nil || len(plan.Sandboxes) != 1 || len(plan.Sandboxes[0].Processes) != 1 || len(plan.Sandboxes[0].Processes[0].Instances) != 1 {
		return nil, problems
	}
	return plan.Sandboxes[0].Processes[0].Instances[0].Container, problems
}

// The made container config has the meaning of the image's own.
func TestContainerConfig(t *testing.T) {
	images := memoryDir(t)
	r := imported(t, images, layout(t, "gzip", everything, layersOfAll(t)...))
	c, problems := load(t, images, r)
	if c == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	env := map[string]string{}
	for _, e := range c.Environ {
		env[e.Name] = e.Value
	}
	for name, want := range map[string]string{"PATH": "/usr/bin", "LANG": "C.UTF-8", "QUOTED": "\"#: \t", "HOME": "/var/www"} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if c.Executable != "/usr/bin/tool" || !slices.Equal(c.Arguments, []string{"--port", "80", "a b"}) || c.Workdir != "/srv/app" {
		t.Errorf("%s %q in %s", c.Executable, c.Arguments, c.Workdir)
	}
	if c.UserID != 33 || c.GroupID != 44 {
		t.Errorf("as %d:%d", c.UserID, c.GroupID)
	}
	points := map[string]configs.VolumeKind{}
	for _, v := range c.Volumes {
		points[v.MountPoint] = v.Kind
	}
	if !maps.Equal(points, map[string]configs.VolumeKind{"/tmp": configs.VolumeTmpfs, "/dev/shm": configs.VolumeTmpfs, "/var/lib/data": configs.VolumePersistent}) {
		t.Errorf("volumes %v", points)
	}
	text, err := os.ReadFile(r.Path + r.Config)
	must(t, err)
	for _, want := range []string{"80/tcp", "digest: " + r.Digest, "reference: test"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestIdentities(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	passwd := file("etc/passwd", "root:x:0:0::/root:\nweb:x:33:44::/www:\n4000:x:5:6::/:\nmember:x:60:61::/:\n"+
		"long:x:70:70:"+long+":/:\nafter-a-long-line:x:62:63::/:\n")
	group := file("etc/group", "root:x:0:root\nwheel:x:10:root\nstaff:x:50:daemon,member\nmember:x:61:member\nlong:x:777:"+long+"\nlate:x:778:member")
	for _, tt := range []struct {
		user     string
		uid, gid uint32
		warning  string // the sandbox's default is taken
	}{
		{"", 1000, 2000, ""}, {"root", 1000, 2000, ""}, {"0", 1000, 2000, ""}, {"0:0", 1000, 2000, ""},
		{"web", 33, 44, ""}, {"33", 33, 44, ""}, {"web:staff", 33, 50, ""}, {"web:7", 33, 7, ""}, {"77", 77, 0, ""},
		{"77:88", 77, 88, ""}, {"4000", 5, 6, ""}, {" web ", 33, 44, ""},
		{"nobody-knows", 1000, 2000, "not in its /etc/passwd"}, {"web:nobody", 1000, 2000, "not in its /etc/group"},
		{"-1", 1000, 2000, "not in its /etc/passwd"}, {"4294967296", 1000, 2000, "not in its /etc/passwd"}, {"\x1b[2J", 1000, 2000, "?[2J"},
	} {
		t.Run(tt.user, func(t *testing.T) {
			images := memoryDir(t)
			config := map[string]any{"User": tt.user, "Cmd": []string{"/x"}}
			r := imported(t, images, layout(t, "", config, archive(t, passwd, group, entry{name: "x", mode: 0o755})))
			c, problems := load(t, images, r)
			if c == nil || len(problems) > 0 {
				t.Fatal(problems)
			}
			if c.UserID != tt.uid || c.GroupID != tt.gid {
				t.Errorf("as %d:%d, want %d:%d", c.UserID, c.GroupID, tt.uid, tt.gid)
			}
			if told := strings.Join(r.Warnings, "\n"); (told == "") != (tt.warning == "") || !strings.Contains(told, tt.warning) {
				t.Errorf("told is %q", told)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for want, config := range map[string]map[string]any{
		"names no program":       {},
		"not in the directories": {"Cmd": []string{"none"}},
		"is not executable":      {"Cmd": []string{"/plain"}},
		"which is no signal":     {"Cmd": []string{"/x"}, "StopSignal": "SIGNONE"},
		"stopped by 65, which":   {"Cmd": []string{"/x"}, "StopSignal": "65"},
		"has to be declared":     {"Cmd": []string{"/x", "a@{b}"}},
		"can't be a directory":   {"Cmd": []string{"/x"}, "Volumes": map[string]any{"/plain": map[string]any{}}},
	} {
		r := imported(t, memoryDir(t), layout(t, "", config, archive(t, entry{name: "x", mode: 0o755}, file("plain", ""))))
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], want) {
			t.Errorf("told is %q, want %q", r.Warnings, want)
		}
	}
}

// These images give no warning.
func TestNoWarnings(t *testing.T) {
	for _, config := range []map[string]any{
		{"StopSignal": "SIGTERM"}, {"StopSignal": "sigterm"}, {"StopSignal": "term"}, {"StopSignal": "15"}, {"StopSignal": ""},
		{"User": "root"}, {"Volumes": map[string]any{"/empty": map[string]any{}}},
		{"Healthcheck": map[string]any{"Test": []string{"NONE"}}}, {"Healthcheck": map[string]any{}},
	} {
		config["Cmd"] = []string{"/x"}
		layer := archive(t, entry{name: "x", mode: 0o755}, dir("empty"), file("etc/group", "wheel:x:10:root\n"), file("etc/passwd", "root:x:0:0::/root:\n"))
		if r := imported(t, memoryDir(t), layout(t, "", config, layer)); len(r.Warnings) > 0 {
			t.Errorf("%v: told is %q", config, r.Warnings)
		}
	}
}

// The image's stop signal is the container's.
func TestStopSignal(t *testing.T) {
	for said, want := range map[string]syscall.Signal{
		"SIGQUIT": unix.SIGQUIT, "quit": unix.SIGQUIT, "3": unix.SIGQUIT, "SIGRTMIN+3": 37, "WINCH": unix.SIGWINCH, "64": 64, "SIGRTMAX-14": 50,
		"": unix.SIGTERM, "sigterm": unix.SIGTERM, "15": unix.SIGTERM, "SIGNONE": unix.SIGTERM, "0": unix.SIGTERM,
	} {
		images := memoryDir(t)
		r := imported(t, images, layout(t, "", map[string]any{"Cmd": []string{"/x"}, "StopSignal": said}, archive(t, entry{name: "x", mode: 0o755})))
		c, problems := load(t, images, r)
		if c == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		if c.StopSignal != want {
			t.Errorf("%q is %v, want %v", said, c.StopSignal, want)
		}
	}
}

// An image without PATH gets the one that other tools give it.
func TestPathByDefault(t *testing.T) {
	images := memoryDir(t)
	r := imported(t, images, layout(t, "", map[string]any{"Cmd": []string{"tool"}}, archive(t, entry{name: "usr/local/bin/tool", mode: 0o755})))
	c, problems := load(t, images, r)
	if c == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.Executable != "/usr/local/bin/tool" || !strings.Contains(fmt.Sprint(c.Environ), "PATH "+defaultPath) {
		t.Errorf("%s with %v", c.Executable, c.Environ)
	}
}

// The image's health check is the container's, within what configs take.
func TestHealthcheck(t *testing.T) {
	const second = 1_000_000_000
	for _, tt := range []struct {
		said  map[string]any
		shell []string
		want  string // as configs write it, "" = none
	}{
		{map[string]any{"Test": []string{"CMD-SHELL", "wget -q \"a\" || exit 1"}, "Interval": 30 * second, "Timeout": 5 * second, "Retries": 4, "StartPeriod": 10 * second},
			nil, `[/bin/sh -c wget -q "a" || exit 1] 30s 5s 4 10s`},
		{map[string]any{"Test": []string{"CMD", "check", "--fast"}}, nil, "[/usr/bin/check --fast] 30s 30s 3 0s"},
		{map[string]any{"Test": []string{"CMD-SHELL", "x"}}, []string{"/bin/sh", "-ec"}, "[/bin/sh -ec x] 30s 30s 3 0s"},
		{map[string]any{"Test": []string{"CMD", "/bin/sh"}, "Interval": 1, "Timeout": 3600 * second, "Retries": 100_000}, nil, "[/bin/sh] 100ms 5m0s 1000 0s"},
		{map[string]any{"Test": []string{"CMD", "/bin/sh"}, "Interval": 1500 * 1_000_000}, nil, "[/bin/sh] 1.5s 30s 3 0s"},
		{map[string]any{"Test": []string{"NONE"}}, nil, ""},
		{map[string]any{"Test": []string{"CMD"}}, nil, ""},
		{map[string]any{"Test": []string{"CMD", "/missing"}}, nil, ""},
	} {
		images := memoryDir(t)
		config := map[string]any{"Cmd": []string{"/bin/sh"}, "Healthcheck": tt.said, "Shell": tt.shell}
		r := imported(t, images, layout(t, "", config, archive(t, entry{name: "bin/sh", mode: 0o755}, entry{name: "usr/bin/check", mode: 0o755})))
		c, problems := load(t, images, r)
		if c == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		got := ""
		if h := c.Healthcheck; h != nil {
			got = fmt.Sprint(h.Command, " ", h.Interval, " ", h.Timeout, " ", h.Failures, " ", h.StartPeriod)
		}
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.said, got, tt.want)
		}
		if missing := slices.Contains(tt.said["Test"].([]string), "/missing"); missing != (len(r.Warnings) > 0) {
			t.Errorf("%v: told is %q", tt.said, r.Warnings)
		}
	}
}

// Files that a volume hides are counted in a warning.
func TestFilesBelowVolumes(t *testing.T) {
	layer := archive(t, entry{name: "srv/app/run", mode: 0o755}, file("srv/www/index.html", ""), file("srv/www/a/b", ""), symlink("var/www", "/srv/www"), dir("empty"))
	for volume, want := range map[string]string{
		"/srv/www": "the volume /srv/www hides 2 file(s) of the image: copy",
		"/var/www": "the volume /var/www hides 2 file(s) of the image: copy",
		"/srv/app": "the volume /srv/app hides 1 file(s) of the image, the program among them: copy",
		"/srv":     "the volume /srv hides 3 file(s) of the image, the program among them: copy",
	} {
		config := map[string]any{"Cmd": []string{"/srv/app/run"}, "Volumes": map[string]any{volume: map[string]any{}, "/empty": map[string]any{}}}
		r := imported(t, memoryDir(t), layout(t, "", config, layer))
		if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], want) {
			t.Errorf("told is %q, want %q", r.Warnings, want)
		}
	}
}

// Commented lines of the made config work once they are uncommented.
func TestCommentedVolumes(t *testing.T) {
	for name, tt := range map[string]struct {
		there []entry
		want  bool
	}{
		"without /run": {nil, true}, "with /run": {[]entry{dir("run")}, true}, "a link": {[]entry{dir("var/run"), symlink("run", "var/run")}, true},
		"a file": {[]entry{file("run", "")}, false}, "a dangling link": {[]entry{symlink("run", "none")}, false},
	} {
		images := memoryDir(t)
		r := imported(t, images, layout(t, "", map[string]any{"Cmd": []string{"/x"}}, archive(t, append(tt.there, entry{name: "x", mode: 0o755})...)))
		text, err := os.ReadFile(r.Path + r.Config)
		must(t, err)
		if has := strings.Contains(string(text), "  # /run: !Tmpfs"); has != tt.want || len(r.Warnings) > 0 {
			t.Errorf("%s: /run is offered: %v, told is %q", name, has, r.Warnings)
		}
		must(t, os.WriteFile(r.Path+r.Config, []byte(strings.ReplaceAll(string(text), "  # /run:", "  /run:")), 0o644))
		if c, problems := load(t, images, r); c == nil || len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// lithos mounts its own resolv.conf and hosts over files only, so links become
// files.
func TestLinksInEtc(t *testing.T) {
	for name, tt := range map[string]struct {
		there   []entry
		warning string
	}{
		"dangling":   {[]entry{symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"), symlink("etc/hosts", "/run/hosts")}, ""},
		"to a file":  {[]entry{file("etc/real", "x"), symlink("etc/resolv.conf", "real")}, ""},
		"files":      {[]entry{file("etc/resolv.conf", "x"), file("etc/hosts", "y")}, ""},
		"nothing":    {nil, ""},
		"directory":  {[]entry{dir("etc/hosts")}, "can't mount its own /etc/hosts in this image: it is no regular file"},
		"etc a link": {[]entry{dir("usr/etc"), symlink("etc", "usr/etc")}, "can't mount its own /etc/hosts in this image: /etc is no real directory"},
	} {
		r := imported(t, memoryDir(t), layout(t, "", map[string]any{"Cmd": []string{"/x"}}, archive(t, append(tt.there, entry{name: "x", mode: 0o755})...)))
		if told := strings.Join(r.Warnings, "\n"); (told == "") != (tt.warning == "") || !strings.Contains(told, tt.warning) {
			t.Errorf("%s: told is %q", name, told)
		}
		for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
			if tt.warning != "" {
				continue
			}
			info, err := os.Lstat(r.Path + file)
			must(t, err)
			if !info.Mode().IsRegular() || name == "files" != (info.Size() > 0) {
				t.Errorf("%s: %s is %v with %d bytes", name, file, info.Mode(), info.Size())
			}
		}
	}
}

// A program that only runs as process 1 is told of; a small init in front of one
// is left out.
func TestInits(t *testing.T) {
	script := func(name string) entry { return entry{name: name, mode: 0o755} }
	for name, tt := range map[string]struct {
		command []string
		there   []entry
		want    string // executable and arguments
		warning string
	}{
		"s6-overlay 3":     {[]string{"/init", "/app"}, []entry{script("init"), dir("package/admin/s6-overlay")}, "/init [/app]", "/init is s6-overlay 3,"},
		"s6-overlay 2":     {[]string{"/init"}, []entry{script("init"), dir("etc/s6/init")}, "/init []", ""},
		"some /init":       {[]string{"/init"}, []entry{script("init")}, "/init []", "/init is an init,"},
		"systemd":          {[]string{"/sbin/init"}, []entry{script("lib/systemd/systemd"), symlink("sbin/init", "/lib/systemd/systemd")}, "/sbin/init []", "/sbin/init is systemd,"},
		"runit":            {[]string{"runit-init"}, []entry{script("sbin/runit-init")}, "/sbin/runit-init []", "is runit,"},
		"tini":             {[]string{"tini", "--", "app", "-x"}, []entry{script("bin/tini"), script("bin/app")}, "/bin/app [-x]", ""},
		"dumb-init":        {[]string{"/bin/dumb-init", "/bin/app"}, []entry{script("bin/dumb-init"), script("bin/app")}, "/bin/app []", ""},
		"tini with option": {[]string{"/bin/tini", "-g", "--", "/bin/app"}, []entry{script("bin/tini"), script("bin/app")}, "/bin/tini [-g -- /bin/app]", ""},
		"tini alone":       {[]string{"/bin/tini"}, []entry{script("bin/tini")}, "/bin/tini []", ""},
		"any":              {[]string{"/bin/initialise"}, []entry{script("bin/initialise")}, "/bin/initialise []", ""},
	} {
		images := memoryDir(t)
		r := imported(t, images, layout(t, "", map[string]any{"Entrypoint": tt.command}, archive(t, tt.there...)))
		c, problems := load(t, images, r)
		if c == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		if got := fmt.Sprint(c.Executable, " ", c.Arguments); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if told := strings.Join(r.Warnings, "\n"); (told == "") != (tt.warning == "") || !strings.Contains(told, tt.warning) {
			t.Errorf("%s: told is %q", name, told)
		}
	}
}

// Any text of an image's config becomes the same text again, or nothing.
func FuzzScalar(f *testing.F) {
	for _, s := range []string{"", "a", "-", "null", "yes", "0x1", "a: b", "a #b", "'", "\"", "\\", "\n", "\t", "é", "\x00", "\x7f", "\u0085", "\u2028", "%", "@", "`", "{", "[", "!x", "&a", "*a", "<<", "a:", ":a", "1e3", "~", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		odd := func(r rune) bool { return r == 0 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
		if !utf8.ValidString(s) || strings.ContainsFunc(s, odd) || strings.Contains(s, "@{") || len(s) > 1000 {
			return
		}
		images := memoryDir(t)
		r := result{Name: "i", Config: "/c.yaml"}
		must(t, os.Mkdir(images+"/i", 0o755))
		must(t, os.WriteFile(images+"/i/c.yaml", []byte("executable: /x\narguments:\n- "+scalar(s)+"\n"), 0o644))
		c, problems := load(t, images, r)
		if c == nil || len(problems) > 0 || len(c.Arguments) != 1 || c.Arguments[0] != s {
			t.Fatalf("%q was written as %s and read as %v %v", s, scalar(s), c, problems)
		}
	})
}
