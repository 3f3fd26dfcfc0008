package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs"
)

// wantProblem compares the only problem, "" = there is none.
func wantProblem(t *testing.T, what string, problems configs.Problems, want string) {
	t.Helper()
	switch {
	case want == "" && len(problems) == 0:
	case want == "" || len(problems) != 1 || !strings.Contains(problems[0].String(), want):
		t.Errorf("%s: %v, want %q", what, problems, want)
	}
}

// Covers: J1
func TestUnusedPrivateKeysAreChecked(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open.key")
	if err := os.WriteFile(open, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	secret := &configs.Instance{Container: &configs.Container{SecretEnviron: []configs.SecretVar{{Name: "A"}}}}
	for _, c := range []struct {
		what, file string
		processes  []*configs.Process
		want       string
	}{
		{"no key", "", nil, ""},
		{"missing", filepath.Join(dir, "none.key"), nil, "/s.yaml: warning: secrets-private-key: cannot read the private key: open " + dir + "/none.key: no such file"},
		{"readable by others", open, nil, "chmod 600 " + open},
		{"told with the secret", open, []*configs.Process{{Instances: []*configs.Instance{secret}}}, ""},
		{"maybe told", open, []*configs.Process{{Broken: true}}, ""},
	} {
		s := &configs.Sandbox{Name: "web", File: "/s.yaml", Config: &configs.SandboxConfig{SecretsPrivateKey: c.file}, Processes: c.processes}
		wantProblem(t, c.what, checkKeys(&configs.Plan{Sandboxes: []*configs.Sandbox{s}}), c.want)
	}
}

// Covers: R4
func TestCgroupOfTheDaemonIsChecked(t *testing.T) {
	for group, want := range map[string]string{
		"": "", "root": "", "4711": "",
		"no-such-group": `/m.yaml: warning: control-group: there is no group "no-such-group" on this host: only root`,
	} {
		wantProblem(t, group, checkControlGroup(&configs.Master{File: "/m.yaml", ControlGroup: group}), want)
	}
}
