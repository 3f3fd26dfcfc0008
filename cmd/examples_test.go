package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"text/template"

	"lithos/configs"
)

// The configs of the demo are the first that a reader copies, so they have to
// be right in every detail. `make demo-check` runs them.
func TestConfigsOfTheDemoAreValid(t *testing.T) {
	dir := t.TempDir()
	host := struct {
		Dir, Cgroup string
		Port        int
	}{dir, "lithos-demo-1.slice", 8080}

	root := os.DirFS("../examples/demo")
	err := fs.WalkDir(root, "etc", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		parsed, err := template.ParseFS(root, path)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(dir, path), func(f *os.File) error { return parsed.Execute(f, host) })
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile("../examples/hello/hello.yaml")
	if err != nil {
		t.Fatal(err)
	}
	err = writeFile(filepath.Join(dir, "images", "hello.v1", "config", "hello.yaml"), func(f *os.File) error {
		_, err := f.Write(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(dir, "etc", "master.yaml")})
	for _, p := range problems {
		t.Error(p)
	}
	if plan == nil || len(plan.Sandboxes) != 1 || len(plan.Sandboxes[0].Processes) != 1 {
		t.Fatalf("expected one sandbox with one process: %+v", plan)
	}
	if n := len(plan.Sandboxes[0].Processes[0].Instances); n != 3 {
		t.Errorf("got %d instances, want 3", n)
	}
}

func writeFile(path string, fill func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return fill(f)
}
