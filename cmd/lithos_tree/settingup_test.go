package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/configs"
)

// Whether a program runs is asked of the processes where the record has lost the
// line about it: what runs is never taken for something that hangs.
//
// Covers: N3
func TestRunningContainerIsNotSettingUp(t *testing.T) {
	k, err := newKernel("/lithos_knot", &configs.Master{RuntimeDir: t.TempDir(), StateDir: t.TempDir()}, newImages(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	for _, c := range []struct {
		name, script, more string
		want               bool
	}{
		{"nothing was forked", "", "", true},
		{"what was forked has executed nothing", "(read line) & echo; wait", "", true},
		{"the program runs", "cat <&3 & echo; wait", "", false},
		{"the record has the start", "", `{"started":{"pid":2,"at":"2026-01-01T00:00:00Z"}}`, false},
		{"the record has why not", "", `{"failed":"no"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pid := scriptOf(t, c.script)
			record := filepath.Join(t.TempDir(), "record")
			text := fmt.Sprintf("{\"created\":{\"name\":\"a/b.0\"}}\n{\"forked\":{\"pid\":%d,\"start\":1}}\n%s\n", pid, c.more)
			if err := os.WriteFile(record, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				got, err := k.settingUp(record)
				if got == c.want && err == nil {
					break
				}
				if err != nil || time.Now().After(end) { // a fork may take a while to execute
					t.Fatalf("setting up: %t, %v; want %t", got, err, c.want)
				}
			}
		})
	}
	record := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(record, []byte("{\"created\":{\"name\":\"a/b.0\"}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := k.settingUp(record); got || err == nil {
		t.Errorf("without a pid: %t, %v", got, err)
	}
}

// scriptOf runs a script until the end of the test; when this returns it has said
// its first line, or it waits for its end at once.
func scriptOf(t *testing.T, script string) (pid int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// read is a builtin, so sh itself waits.
	cmd := exec.Command("/bin/sh", "-c", "exec 3<&0; "+script+"\necho; read line")
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		_ = r.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}
