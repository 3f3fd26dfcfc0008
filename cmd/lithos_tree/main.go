package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"lithos/actors/root"
	"lithos/actors/services/logs"
	"lithos/cmd/internal/reader"
	"lithos/cmd/internal/setup"
	"lithos/configs"
)

// version is set when the program is built.
var version = "dev"

// Exit codes (requirement N11); 2 is for a command line that can't be used.
const (
	exitOK       = 0
	exitFatal    = 1
	exitUsage    = 2
	exitBinaries = 127
)

func main() {
	reader.Main()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == holdSignals {
		return holdForParent(stdin, stdout, stderr)
	}
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	left, err := takeHandover()
	if err != nil {
		fmt.Fprintf(stderr, "Going on without it: %v\n", err)
	}
	knot, err := setup.FindKnot()
	if err != nil {
		if left != nil {
			err = errors.Join(err, left.handBack(err))
		}
		fmt.Fprintf(stderr, "Fatal error: %v\n", err)
		return exitBinaries
	}
	if err := o.daemon(knot, stderr, left); err != nil {
		fmt.Fprintf(stderr, "Fatal error: %v\n", err)
		return exitFatal
	}
	if o.canStart {
		fmt.Fprintln(stdout, canStart)
	}
	return exitOK
}

// daemon runs the daemon. One that has taken over from another and
// can't start hands back to it.
func (o *options) daemon(knot string, stderr io.Writer, left *handover) (err error) {
	if left == nil {
		return daemon(o, knot, stderr, nil)
	}
	programName()
	defer left.close()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("internal error, please report it: %v\n%s", reason, debug.Stack())
		}
		if err != nil && left.files[fileProgram] != nil {
			fmt.Fprintf(stderr, "Handing back to lithos_tree %s: %v\n", left.Release, err)
			err = errors.Join(err, left.handBack(err))
		}
	}()
	return daemon(o, knot, stderr, left)
}

// daemon checks and prepares everything, and then supervises until it is told
// to stop.
func daemon(o *options, knot string, stderr io.Writer, left *handover) error {
	if os.Geteuid() != 0 {
		return errors.New("lithos_tree must be run as root: it makes containers")
	}
	if m, _ := configs.LoadMaster(o.config); m != nil && left == nil && !o.canStart {
		if err := announceMetrics(m); err != nil {
			fmt.Fprintf(stderr, "Agents will not find the metrics: %v\n", err)
		}
	}
	// No core dump of it, in which secrets could be: what is undumpable is not
	// dumped, whatever GOTRACEBACK and the limits say. It ends with an exec, so
	// that containers don't inherit it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot keep secrets out of core dumps: %w", err)
	}
	images := newImages()
	plan, problems := images.Load(configs.Options{MasterFile: o.config})
	if !o.logStderr || plan == nil {
		for _, p := range problems {
			fmt.Fprintln(stderr, p)
		}
	}
	if plan == nil {
		return fmt.Errorf("cannot use the master config %s; correct it, lithos_check -C %[1]s tells whether it is right", o.config)
	}
	if err := setup.CheckDevfs(plan.Master); err != nil {
		return err
	}
	if o.canStart {
		if _, err := readKeptPlan(plan.Master); err != nil {
			return err
		}
	}
	if err := setup.MakeDirs(plan.Master); err != nil {
		return err
	}
	set, err := logs.Open(plan.Master, o.logs(stderr))
	if err != nil {
		return err
	}
	defer set.Close()
	if o.canStart {
		return nil
	}
	log := set.Master()
	err = supervise(o, knot, plan, problems, images, set, left)
	if err != nil {
		log.Error().Msgf("Fatal error: %v", err)
	}
	return err
}

// supervise holds the pid file while the actors live.
func supervise(o *options, knot string, plan *configs.Plan, problems configs.Problems, images *images, set *logs.Set, left *handover) (err error) {
	// Before the pid file is there for others to find: a signal that comes
	// then must not end the daemon with its file left behind.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, root.Signals...)
	childEnds := make(chan os.Signal, 1)
	signal.Notify(childEnds, syscall.SIGCHLD)
	// A reader of --log-stderr that goes away must not end the daemon.
	// The signal is caught, not ignored: that would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	pidFile, err := takePIDFile(plan.Master, left)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pidFile.Remove()) }()
	kernel, err := newKernel(knot, plan.Master, images, set.Master())
	if err != nil {
		return err
	}
	defer kernel.close()
	kernel.memory.watch()
	log := set.Master()
	log.Warn().Msgf("lithos_tree %s started (pid %d), config %s", version, os.Getpid(), plan.Master.File)
	upgrade := newUpgrader(o, plan.Master, images, log, signals, left)
	requests := make(chan struct{})
	shown := observe(plan.Master, set, requests, kernel, left)
	defer shown.close()
	keeper := newKeeper(plan.Master, log)
	defer keeper.close()
	handled, takeOver := make(chan os.Signal, cap(signals)), make(chan func())
	upgrade.requests, upgrade.handled, upgrade.takeOver = requests, handled, takeOver
	upgrade.drain = func() map[string]*os.File {
		keeper.close()
		kernel.spawner.DiscardAll()
		return map[string]*os.File{filePID: pidFile.Handle(), fileControl: shown.drain()}
	}
	upgrade.board = shown.board
	// Those of children that have died before an exec were for the program
	// before.
	select {
	case childEnds <- syscall.SIGCHLD:
	default: // one has come by itself
	}
	// From here on signals are handled, and others find the pid file and the
	// control socket.
	if err := tellSystemd(); err != nil {
		log.Error().Msgf("%v", err)
	}
	left.close()
	go upgrade.run()
	go images.reloadWhenAnswered(log, requests)
	return root.Run(root.Config{
		Kernel:       kernel.functions(),
		Logs:         set,
		Board:        shown.board,
		Registry:     shown.registry,
		DeathRecords: shown.records,
		Budget:       shown.budget,
		Rotation:     shown.rotation,
		Plan:         plan,
		Problems:     problems,
		Kept:         keptPlan(plan.Master, set.Master()),
		Keep:         keeper.keep,
		Knot:         knot,
		Term:         os.Getenv("TERM"),
		Signals:      handled,
		TakeOver:     takeOver,
		Deaths:       childEnds,
		Prepare:      setup.MakeDirs,
		Settled:      kernel.memory.applied,
	})
}
