package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// writeTree writes files into a new directory; HOST in their text becomes its
// path. `NAME -> TARGET` is a symlink, `NAME |` a FIFO.
func writeTree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name, target, link := strings.Cut(name, " -> ")
		name, fifo := strings.CutSuffix(name, " |")
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, file)
		case fifo:
			err = syscall.Mkfifo(file, 0o644)
		default:
			err = os.WriteFile(file, []byte(strings.ReplaceAll(text, "HOST", dir)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hostConfig is a host with one sandbox, web, and one process, app; empty
// fields are texts without a mistake.
type hostConfig struct {
	master    string
	sandbox   string // added to image-dir, allow-users and allow-groups
	process   string // the whole file
	entry     string // added to the entry app, one line a key
	container string // added to executable
}

const hostSandbox = `image-dir: HOST/images
allow-users: [1-1000]
allow-groups: [0-1000]
default-user: 1
allow-tcp-ports: [1-65535]
`

func (h hostConfig) files() map[string]string {
	process := h.process
	if process == "" {
		process = "app:\n  image: v1\n  config: /config/app.yaml\n" + indent(h.entry)
	}
	sandbox := h.sandbox
	for line := range strings.Lines(hostSandbox) {
		if key, _, _ := strings.Cut(line, ":"); !strings.Contains(strings.ReplaceAll(sandbox, "_", "-"), key+":") {
			sandbox += line
		}
	}
	container := h.container
	if !strings.Contains(container, "executable") {
		container += "\nexecutable: /bin/app\n"
	}
	return map[string]string{
		"master.yaml":               h.master,
		"sandboxes/web.yaml":        sandbox,
		"processes/web.yaml":        process,
		"images/v1/config/app.yaml": container,
	}
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func (h hostConfig) load(t testing.TB) (*Plan, Problems, string) {
	t.Helper()
	dir := writeTree(t, h.files())
	plan, problems := Load(Options{MasterFile: filepath.Join(dir, "master.yaml")})
	return plan, problems, dir
}

// good loads a host that has no mistake.
func (h hostConfig) good(t testing.TB) (*Plan, string) {
	t.Helper()
	plan, problems, dir := h.load(t)
	if len(problems) > 0 {
		t.Fatalf("unexpected problems:\n%s", format(problems))
	}
	return plan, dir
}

// app is the container of the first instance of app.
func (h hostConfig) app(t testing.TB) *Container {
	t.Helper()
	plan, _ := h.good(t)
	return plan.Sandboxes[0].Processes[0].Instances[0].Container
}

func format(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// wantProblems checks that each of the texts is in a problem of its own and
// that there are no others. A text is FILE:LINE:COL: rest or only a part.
func wantProblems(t testing.TB, problems Problems, want ...string) {
	t.Helper()
	var left []string
	for _, p := range problems.Distinct() {
		left = append(left, p.String())
	}
	for _, w := range want {
		found := -1
		for i, s := range left {
			if strings.Contains(s, w) {
				found = i
				break
			}
		}
		if found < 0 {
			t.Errorf("no problem has %q in it; there are:\n%s", w, format(problems))
			continue
		}
		left = append(left[:found], left[found+1:]...)
	}
	if len(left) > 0 {
		t.Errorf("unexpected problems:\n%s", strings.Join(left, "\n"))
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

// problemCase is a mistake and what is told about it.
type problemCase struct {
	name string
	host hostConfig
	want []string
}

// runProblems checks what is told, and that the object of an error is broken
// while the others of the plan are still in it.
func runProblems(t *testing.T, cases []problemCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plan, problems, _ := c.host.load(t)
			wantProblems(t, problems, c.want...)
			checkBreakage(t, plan, problems)
		})
	}
}

// checkBreakage holds Plan's promise: an object is broken if and only if an
// error names it.
func checkBreakage(t testing.TB, plan *Plan, problems Problems) {
	t.Helper()
	if plan == nil {
		if !problems.HasErrors() {
			t.Error("no plan, but no error either")
		}
		return
	}
	for _, s := range plan.Sandboxes {
		own, whole := false, false
		for _, p := range problems {
			if p.Severity == SeverityError && p.Sandbox == s.Name && p.Process == "" {
				own = own || p.File == s.File
				whole = whole || p.File != s.File
			}
		}
		if s.Broken != own {
			t.Errorf("sandbox %s: Broken is %v, errors of its own: %v", s.Name, s.Broken, own)
		}
		if s.Broken != (s.Config == nil) {
			t.Errorf("sandbox %s: Broken is %v with a config %v", s.Name, s.Broken, s.Config)
		}
		if !s.Broken && s.ProcessesBroken != whole {
			t.Errorf("sandbox %s: ProcessesBroken is %v, errors in the process file: %v", s.Name, s.ProcessesBroken, whole)
		}
		for _, p := range s.Processes {
			has := problems.Of(s.Name, p.Name).HasErrors()
			if p.Broken != has {
				t.Errorf("process %s: Broken is %v, errors: %v", p.Name, p.Broken, has)
			}
			if p.Broken && p.Instances != nil {
				t.Errorf("process %s is broken and has instances", p.Name)
			}
		}
	}
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
