package configs

import (
	"path/filepath"
	"testing"
)

// Each kind of file is quoted, and only on request.
//
// Covers: R4
func TestExcerpts(t *testing.T) {
	h := hostConfig{
		master:    "# m\ncolour: red\n",
		sandbox:   "default-gruop: 1\n",
		container: "wrkdir: /x\n",
	}
	lines := map[string]bool{"colour: red": true, "wrkdir: /x": true, "  imaeg: v1": true, "default-gruop: 1": true}
	quoted := map[string]bool{}
	for _, files := range []map[string]string{
		hostConfig{master: h.master}.files(), hostConfig{sandbox: h.sandbox}.files(), hostConfig{container: h.container}.files(),
		hostConfig{process: "app:\n  imaeg: v1\n"}.files(),
	} {
		master := filepath.Join(writeTree(t, files), "master.yaml")
		_, problems := Load(Options{MasterFile: master, Excerpts: true})
		for _, p := range problems {
			quoted[p.Excerpt] = true
		}
		_, problems = Load(Options{MasterFile: master})
		for _, p := range problems {
			if p.Excerpt != "" {
				t.Errorf("quoted without being asked: %+v", p)
			}
		}
	}
	for line := range lines {
		if !quoted[line] {
			t.Errorf("%q is not quoted, only %v", line, quoted)
		}
	}
}

// The text that was read is checked, whatever the file holds by now.
//
// Covers: O9
func TestAlternateTextIsRead(t *testing.T) {
	h := hostConfig{}
	dir := writeTree(t, h.files())
	file := filepath.Join(dir, "new.yaml")
	writeFile(t, file, "now: broken")
	opts := Options{
		MasterFile:       filepath.Join(dir, "master.yaml"),
		AlternateProcess: map[string]string{"web": file},
		AlternateText:    map[string][]byte{"web": []byte("other: {image: v1, config: /config/app.yaml}")},
	}
	plan, problems := Load(opts)
	if len(problems) > 0 {
		t.Fatal(format(problems))
	}
	if list := plan.Sandboxes[0].Processes; len(list) != 1 || list[0].Name != "other" {
		t.Errorf("read is %+v", list)
	}
	opts.AlternateText["web"] = []byte("a: b")
	_, problems = Load(opts)
	wantProblems(t, problems, file+":1:4: error: a: ")
}
