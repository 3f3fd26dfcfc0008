package main

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// childName is the command line of the child; nobody else calls a program so.
const childName = "lithos_clean (at work)"

// resultFD is where the child writes its exit code.
const resultFD = 3

// runInChild is the whole of the main function: it does the work in a child, and
// ends with its exit code. It does the work itself if there can be no child.
//
// A thread that waits for a file system that does not answer can't be ended, and
// its process exists until the file system answers. The shell that waits for the
// command would wait as long: so the child is abandoned instead.
func runInChild(work func() (code int)) {
	if os.Args[0] == childName {
		child(work)
	}
	if code, ok := startChild(); ok {
		os.Exit(code)
	}
	os.Exit(work())
}

func child(work func() int) {
	unix.CloseOnExec(resultFD)
	code := work()
	// The readers of the output must not wait for the end of this process.
	_ = os.Stdout.Close()
	_ = os.Stderr.Close()
	_, _ = unix.Write(resultFD, []byte{byte(code)})
	os.Exit(code)
}

// startChild starts the child and waits for its exit code; ok is false if there is none.
func startChild() (code int, ok bool) {
	result, theirs, err := os.Pipe()
	if err != nil {
		return 0, false
	}
	defer result.Close()
	// The child ends when this thread does.
	runtime.LockOSThread()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{childName}, os.Args[1:]...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return 0, false
	}
	text := make([]byte, 1)
	if _, err := io.ReadFull(result, text); err == nil {
		return int(text[0]), true
	}
	// It has not come to its end.
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), true
	}
	return cmd.ProcessState.ExitCode(), true
}
