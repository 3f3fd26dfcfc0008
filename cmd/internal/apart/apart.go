// Package apart runs the work of a command in a child process. A thread that
// waits for a hanging file system cannot be abandoned, and its process cannot
// exit. The command would hang, and the shell that waits for it. So the child is
// left behind instead.
package apart

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// argument makes a program the child, as its name; nobody else calls it so.
const argument = " (at work)"

// resultFD is where the child writes its exit code.
const resultFD = 3

// Run is the whole of a main function: it does work in a child, and ends with its
// exit code. It does so itself if there can be no child.
func Run(name string, work func() (code int)) {
	if os.Args[0] == name+argument {
		child(work)
	}
	if code, ok := parent(name); ok {
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

// parent starts the child and waits for its exit code; ok is false if there is none.
func parent(name string) (code int, ok bool) {
	result, theirs, err := os.Pipe()
	if err != nil {
		return 0, false
	}
	defer result.Close()
	// The child ends when this thread does.
	runtime.LockOSThread()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{name + argument}, os.Args[1:]...),
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
