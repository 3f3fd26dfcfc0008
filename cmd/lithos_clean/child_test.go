package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// beCommand is a command that does its work in a child.
func beCommand() {
	runInChild(func() int {
		fmt.Println("argument", os.Args[1])
		switch os.Args[1] {
		case "fails":
			fmt.Fprintln(os.Stderr, "why")
			return 3
		case "dies":
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			time.Sleep(time.Hour)
		case "panics":
			panic("reason")
		case "waits":
			time.Sleep(time.Hour)
		}
		return 0
	})
}

func command(argument string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", argument)
	cmd.Env = append(os.Environ(), "BE_COMMAND=1")
	return cmd
}

func TestExitCodeAndOutputAreTheChilds(t *testing.T) {
	for argument, code := range map[string]int{"works": 0, "fails": 3, "dies": 128 + 15, "panics": 2} {
		cmd := command(argument)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != code || out.String() != "argument "+argument+"\n" {
			t.Errorf("%s: exit code %d, want %d; printed %q", argument, got, code, out.String())
		}
		if argument == "fails" && errs.String() != "why\n" {
			t.Errorf("standard error %q", errs.String())
		}
	}
}

// A reader of the output sees its end.
func TestChildEndsWithItsParent(t *testing.T) {
	cmd := command("waits")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("argument waits\n"))
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(out)
		ended <- err
	}()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the child is there after its parent")
	}
	_ = cmd.Wait()
}
