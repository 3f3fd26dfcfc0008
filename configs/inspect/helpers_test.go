package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs"
)

// hostConfig is a host with one sandbox, web, and one process, app. Its fields
// are added to valid texts.
type hostConfig struct{ master, sandbox, process, container string }

func (h hostConfig) files() map[string]string {
	process := h.process
	if process == "" {
		process = "app: {image: v1, config: /config/app.yaml}\n"
	}
	container := h.container
	if !strings.Contains(container, "executable") {
		container += "\nexecutable: /bin/app\n"
	}
	return map[string]string{
		"master.yaml":               h.master,
		"sandboxes/web.yaml":        h.sandbox + "image-dir: HOST/images\nallow-users: [1-1000]\nallow-groups: [0-1000]\ndefault-user: 1\n",
		"processes/web.yaml":        process,
		"images/v1/config/app.yaml": container,
	}
}

// load reads a host that has no mistake.
func (h hostConfig) load(t testing.TB) *configs.Plan {
	t.Helper()
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(writeTree(t, h.files()), "master.yaml")})
	if len(problems) > 0 {
		t.Fatalf("unexpected problems:\n%s", format(problems))
	}
	return plan
}

// writeTree writes files into a new directory; HOST in their text becomes its
// path.
func writeTree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		mkdirs(t, filepath.Dir(filepath.Join(dir, name)))
		writeFile(t, filepath.Join(dir, name), strings.ReplaceAll(text, "HOST", dir))
	}
	return dir
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func format(problems configs.Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// wantProblems checks that each of the texts is in a problem of its own and
// that there are no others. A text is FILE:LINE:COL: rest or only a part.
func wantProblems(t testing.TB, problems configs.Problems, want ...string) {
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
