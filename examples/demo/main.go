// Command demo shows the main job of lithos on a host that it makes for
// itself in one directory: three containers of examples/hello behind one
// listening port, kept running by lithos_tree.
//
// `make demo` runs it in the foreground until Ctrl-C; `make demo-check` (the
// flag -check) does unattended what a visitor would try, and says what it
// saw. Either way nothing is left behind: what the run left is looked for
// from outside, in /proc, the mount table and the cgroup hierarchies, and not
// asked of lithos_tree.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	// The daemon's parent-death signal counts for the thread that forked it,
	// so main stays on one that lives as long as the process.
	runtime.LockOSThread()
}

func main() {
	var o options
	flag.BoolVar(&o.check, "check", false, "run unattended, check everything, print what was seen")
	flag.StringVar(&o.bin, "bin", "bin", "directory of the lithos programs")
	flag.StringVar(&o.hello, "hello", "build/examples/hello", "the service, a static program")
	flag.StringVar(&o.config, "config", "examples/hello/hello.yaml", "its container config")
	flag.Parse()
	o.dir = os.Getenv("DEMO_DIR")
	o.port = os.Getenv("DEMO_PORT")

	// All signals that end a program, so that none leaves the host behind.
	// Signals during its creation wait until it can be removed.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)

	run := show
	if o.check {
		run = runChecks
	}
	if err := demo(o, signals, run); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo makes the host, runs one of the two shows on it, and takes the host
// away again, however the show ended.
func demo(o options, signals <-chan os.Signal, run func(*host, <-chan os.Signal) error) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("containers need root: run it again as root")
	}
	h, err := newHost(o)
	if err != nil {
		return err
	}
	err = h.build()
	if err == nil {
		err = run(h, signals)
	}
	if cleanErr := h.remove(); cleanErr != nil {
		return errors.Join(err, cleanErr)
	}
	if h.keepDir {
		fmt.Println("emptied", h.Dir)
	} else {
		fmt.Println("removed", h.Dir)
	}
	return err
}
