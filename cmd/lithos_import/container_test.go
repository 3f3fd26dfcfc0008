package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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
	write("sandboxes/web.yaml", "image-dir: "+images+"\nallow-users: [1-70000]\nallow-groups: [0-70000]\ndefault-user: 1000\nwritable-paths: {/volumes: "+host+"}\n")
	write("processes/web.yaml", "app: {image: "+r.Name+", config: "+r.Config+"}\n")
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(host, "master.yaml")})
	if plan == nil || len(plan.Sandboxes) != 1 || len(plan.Sandboxes[0].Processes) != 1 || len(plan.Sandboxes[0].Processes[0].Instances) != 1 {
		return nil, problems
	}
	return plan.Sandboxes[0].Processes[0].Instances[0].Container, problems
}

// The container config that is made means to lithos what the image said.
func TestContainerConfig(t *testing.T) {
	images := t.TempDir()
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
	if !maps.Equal(points, map[string]configs.VolumeKind{"/tmp": configs.VolumeTmpfs, "/var/lib/data": configs.VolumePersistent}) {
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
	passwd := file("etc/passwd", "root:x:0:0::/root:\nweb:x:33:44::/www:\n4000:x:5:6::/:\n")
	group := file("etc/group", "root:x:0:\nstaff:x:50:\n")
	for _, tt := range []struct {
		user     string
		uid, gid uint32
		warning  string // the sandbox's default is taken
	}{
		{"", 1000, 0, ""}, {"root", 1000, 0, ""}, {"0", 1000, 0, ""}, {"0:0", 1000, 0, ""},
		{"web", 33, 44, ""}, {"33", 33, 44, ""}, {"web:staff", 33, 50, ""}, {"web:7", 33, 7, ""}, {"77", 77, 0, ""},
		{"77:88", 77, 88, ""}, {"4000", 5, 6, ""}, {" web ", 33, 44, ""},
		{"nobody-knows", 1000, 0, "not in its /etc/passwd"}, {"web:nobody", 1000, 0, "not in its /etc/group"},
		{"-1", 1000, 0, "not in its /etc/passwd"}, {"4294967296", 1000, 0, "not in its /etc/passwd"}, {"\x1b[2J", 1000, 0, "?[2J"},
	} {
		t.Run(tt.user, func(t *testing.T) {
			images := t.TempDir()
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
		"stopped by SIGQUIT":     {"Cmd": []string{"/x"}, "StopSignal": "SIGQUIT"},
		"has to be declared":     {"Cmd": []string{"/x", "a@{b}"}},
		"can't be a directory":   {"Cmd": []string{"/x"}, "Volumes": map[string]any{"/plain": map[string]any{}}},
	} {
		r := imported(t, t.TempDir(), layout(t, "", config, archive(t, entry{name: "x", mode: 0o755}, file("plain", ""))))
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], want) {
			t.Errorf("told is %q, want %q", r.Warnings, want)
		}
	}
}

// Whatever an image says in its config becomes the same text again, or nothing.
func FuzzScalar(f *testing.F) {
	for _, s := range []string{"", "a", "-", "null", "yes", "0x1", "a: b", "a #b", "'", "\"", "\\", "\n", "\t", "é", "\x00", "\x7f", "\u0085", "\u2028", "%", "@", "`", "{", "[", "!x", "&a", "*a", "<<", "a:", ":a", "1e3", "~", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		odd := func(r rune) bool { return r == 0 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
		if !utf8.ValidString(s) || strings.ContainsFunc(s, odd) || strings.Contains(s, "@{") || len(s) > 1000 {
			return
		}
		images := t.TempDir()
		r := result{Name: "i", Config: "/c.yaml"}
		must(t, os.Mkdir(images+"/i", 0o755))
		must(t, os.WriteFile(images+"/i/c.yaml", []byte("executable: /x\narguments:\n- "+scalar(s)+"\n"), 0o644))
		c, problems := load(t, images, r)
		if c == nil || len(problems) > 0 || len(c.Arguments) != 1 || c.Arguments[0] != s {
			t.Fatalf("%q was written as %s and read as %v %v", s, scalar(s), c, problems)
		}
	})
}
