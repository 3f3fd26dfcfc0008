package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs"
)

// Covers: P7
func TestConfigLogLineFormat(t *testing.T) {
	dir := t.TempDir()
	sb := &configs.Sandbox{Name: "web", Processes: []*configs.Process{
		{Name: "app", Kind: configs.KindDaemon, Config: &configs.ProcessConfig{
			Image: "app.v1", Config: "/config/app.yaml", Instances: 2,
			IPAddresses: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")},
			Variables:   map[string]string{"b": "2", "a": "<1>"}, ExtraSecretsNamespaces: []string{"x"},
		}},
		{Name: "cmd", Kind: configs.KindCommand, Config: &configs.ProcessConfig{Image: "app.v1", Config: "/c.yaml", Instances: 1}},
		{Name: "unreadable"},
	}}
	for range 2 {
		if err := logConfig(dir, sb); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "web.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), text)
	}
	at, json, _ := strings.Cut(lines[0], " ")
	if len(at) != len("2006-01-02T15:04:05Z") || !strings.HasSuffix(at, "Z") {
		t.Errorf("the time is %q", at)
	}
	want := `{"app":{"instances":2,"image":"app.v1","config":"/config/app.yaml","variables":{"a":"<1>","b":"2"},` +
		`"extra_secrets_namespaces":["x"],"ip_addresses":["10.0.0.2","10.0.0.3"],"kind":"Daemon"},` +
		`"cmd":{"instances":1,"image":"app.v1","config":"/c.yaml","kind":"Command"}}` + "\n"
	if json != want {
		t.Errorf("got\n%s\nwant\n%s", json, want)
	}
}

// Covers: P7
func TestConfigLogRotates(t *testing.T) {
	dir := t.TempDir()
	sb := &configs.Sandbox{Name: "web"}
	path := filepath.Join(dir, "web.log")
	size := func(n int64) {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, n); err != nil {
			t.Fatal(err)
		}
	}
	load := func() {
		t.Helper()
		if err := logConfig(dir, sb); err != nil {
			t.Fatal(err)
		}
	}
	size(10_485_760)
	load()
	if _, err := os.Stat(path + ".1"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("rotated at 10485760 bytes; that is not above it")
	}
	for i := 1; i <= 100; i++ {
		if err := os.WriteFile(fmt.Sprintf("%s.%d", path, i), fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	size(10_485_761)
	load()
	for i := 2; i <= 100; i++ {
		text, err := os.ReadFile(fmt.Sprintf("%s.%d", path, i))
		if err != nil || string(text) != fmt.Sprint(i-1) {
			t.Fatalf(".%d has %q, %v", i, text, err)
		}
	}
	if info, err := os.Stat(path + ".1"); err != nil || info.Size() != 10_485_761 {
		t.Errorf(".1 is not what was the log: %v", err)
	}
	if _, err := os.Stat(path + ".101"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a .101")
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 100 {
		t.Errorf("the new log is not new: %v", err)
	}
}

// Covers: P7
func TestConfigLogErrors(t *testing.T) {
	if err := logConfig(filepath.Join(t.TempDir(), "missing"), &configs.Sandbox{Name: "web"}); err == nil {
		t.Error("no error for a directory that is missing")
	}
}
