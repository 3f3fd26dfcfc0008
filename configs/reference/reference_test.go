package reference

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lithos/configs"
	"lithos/configs/option"
)

var update = flag.Bool("update", false, "write the pages and schemas into docs/")

var names = []string{"master", "sandbox", "process", "container"}

// all are the options of a list and those inside of them.
func all(list []option.Info) []option.Info {
	var found []option.Info
	for _, o := range list {
		found = append(append(found, o), all(o.Fields)...)
	}
	return found
}

// Each option is described.
func TestOptionsAreDescribed(t *testing.T) {
	for _, name := range names {
		for _, o := range all(configs.Describe(name)) {
			if o.Text == "" || o.Type.Name == "" {
				t.Errorf("%s in the %s config: no text or type", o.Key, name)
			}
			if o.Default == "" && o.Example == "" && o.Key != "secret-environ" && o.Key != "mount" {
				t.Errorf("%s in the %s config: neither default nor example", o.Key, name)
			}
		}
	}
}

// host loads one with these texts added to its files.
func host(t *testing.T, extra map[string]string) (*configs.Plan, configs.Problems) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"master.yaml":            "",
		"sandboxes/web.yaml":     "image-dir: " + dir + "/images\nwritable-paths: {/db: /srv/db, /timezones: /srv/tz}\n",
		"processes/web.yaml":     "app:\n  image: v1\n  config: /app.yaml\n",
		"images/v1/app.yaml":     "executable: /app\n",
		"images/v1/app-two.yaml": "executable: /app\n",
	}
	for _, line := range []string{"allow-users: [0-100000000]\n", "allow-groups: [0-100000000]\n", "default-user: 1000\n"} {
		if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(extra["sandbox"], key+":") {
			files["sandboxes/web.yaml"] += line
		}
	}
	paths := map[string]string{"master": "master.yaml", "sandbox": "sandboxes/web.yaml", "process": "processes/web.yaml", "container": "images/v1/app.yaml"}
	for kind, text := range extra {
		key, _, _ := strings.Cut(text, ":")
		var kept []string
		for line := range strings.Lines(files[paths[kind]]) {
			if !strings.HasPrefix(strings.TrimLeft(line, " "), strings.TrimLeft(key, " ")+":") {
				kept = append(kept, line)
			}
		}
		files[paths[kind]] = strings.Join(kept, "") + text + "\n"
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(dir, "master.yaml")})
	for i := range problems {
		problems[i].File = strings.TrimPrefix(problems[i].File, dir)
	}
	return plan, problems
}

// notAlone are examples that need another option beside them, or something of a
// machine, and the texts that then are told.
var notAlone = map[string]string{
	"sandbox uid-map": "", "sandbox gid-map": "", "container uid-map": "", "container gid-map": "", // come together
	"sandbox image-dir":        "", // another directory: no image is there
	"sandbox image-dir-levels": "image", "sandbox config-file": "",
	"sandbox bridged-network": "", "sandbox allow-users": "default-user", "sandbox allow-groups": "group",
	"process ip-addresses": "addresses",
	"process kind":         "", // a command of a daemon's config
	"process image":        "image",
	"process config":       "config",
	"container kind":       "",
	"container tcp-ports":  "allow-tcp-ports", "container variables": "variable",
	"container secret-environ-file": "secret",
}

// Each example is accepted.
func TestExamples(t *testing.T) {
	for _, kind := range names {
		for _, o := range configs.Describe(kind) {
			if o.Example == "" {
				continue
			}
			indent := ""
			if kind == "process" {
				indent = "  "
			}
			_, problems := host(t, map[string]string{kind: indent + o.Key + ": " + o.Example})
			for _, p := range problems {
				want, known := notAlone[kind+" "+o.Key]
				if !known || !strings.Contains(p.Text+p.Path, want) || strings.Contains(p.Text, "expected") {
					t.Errorf("%s %s: %s: %v", kind, o.Key, o.Example, p)
				}
			}
		}
	}
}

// A default that is written out means the same as nothing.
func TestDefaults(t *testing.T) {
	for _, kind := range names {
		for _, o := range configs.Describe(kind) {
			if o.Default == "" || kind == "sandbox" && o.Key == "image-dir" {
				continue
			}
			indent := ""
			if kind == "process" {
				indent = "  "
			}
			without, _ := host(t, nil)
			with, problems := host(t, map[string]string{kind: indent + o.Key + ": " + o.Default})
			if len(problems) > 0 {
				t.Errorf("%s %s: %s: %v", kind, o.Key, o.Default, problems)
				continue
			}
			if a, b := comparable(without), comparable(with); !reflect.DeepEqual(a, b) {
				t.Errorf("%s %s: with the default %s written out it is\n%+v, without\n%+v", kind, o.Key, o.Default, b, a)
			}
		}
	}
}

// comparable is what a plan comes to, without the directories of the test.
func comparable(p *configs.Plan) []any {
	m, sb := *p.Master, *p.Sandboxes[0].Config
	pr, c := *p.Sandboxes[0].Processes[0].Config, *p.Sandboxes[0].Processes[0].Instances[0].Container
	m.File, m.SandboxesDir, m.ProcessesDir = "", filepath.Base(m.SandboxesDir), filepath.Base(m.ProcessesDir)
	sb.ConfigFile, sb.ImageDir, c.Image = "", "", ""
	return []any{m, sb, pr, c}
}

func TestPagesAndSchemasAreUpToDate(t *testing.T) {
	files := map[string]string{}
	for name, text := range Pages() {
		files["config-"+name+".md"] = text
	}
	for name, text := range Schemas() {
		files["schemas/"+name+".json"] = string(text)
	}
	for name, want := range files {
		path := filepath.Join("../../docs", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("docs/%s is not what the options say (%v): go test ./configs/reference -update", name, err)
		}
	}
}
