package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/root"
	"lithos/actors/services/status"
	"lithos/cmd/lithos_tree/sigdefer"
	"lithos/configs"
)

const (
	// flushPatience is for what is being written when the new one takes over,
	// and answerPatience for who asks on the control socket.
	flushPatience  = 2 * time.Second
	answerPatience = 500 * time.Millisecond
	// holdPatience is how long signals are kept for the next one: it reads all
	// configs first.
	holdPatience = 2 * time.Minute
	// startPatience is for the child that does that.
	startPatience = 10 * time.Second
)

// upgrader has a new lithos_tree, put in the place of the one that runs, take
// over at the next reload (requirement O2): by exec, so that the pid and the
// children stay. The new one continues from the files that a killed daemon would
// have left, with what is in the [handover].
//
// It stands between the signals and the actors, which have no part in it: a
// signal is either handed on to them or kept for the next one, never lost. A TERM
// that comes before the point of no return ends the upgrade instead.
type upgrader struct {
	o       *options
	master  *configs.Master
	log     zerolog.Logger
	helpers *helpers
	images  *images
	path    string      // of lithos_tree
	running fs.FileInfo // the file that this process was started from
	silent  fs.FileInfo // one that said nothing, not to be tried again

	signals  chan os.Signal   // from the kernel
	requests <-chan struct{}  // for a reload, from the control socket
	handled  chan<- os.Signal // to the actors
	takeOver chan<- func()
	board    *status.Board
	// drain ends the other services when the actors are quiet, and returns their
	// files for the next program.
	drain func() map[string]*os.File
}

// newUpgrader makes one that continues from what the program before has left. The
// channels are set afterwards.
func newUpgrader(o *options, m *configs.Master, images *images, log zerolog.Logger, signals chan os.Signal, left *handover) *upgrader {
	u := &upgrader{o: o, master: m, log: log, helpers: &images.helpers, images: images, signals: signals}
	var err error
	if u.path, u.running, err = findProgram(); err != nil {
		log.Error().Msgf("A new release will not be noticed: %v", err)
	}
	if left == nil {
		return u
	}
	u.path = left.Path
	if left.Holder != 0 {
		u.helpers.add(left.Holder)
	}
	for _, pid := range left.Readers {
		u.helpers.add(pid)
	}
	if left.Refused == "" {
		log.Warn().Msgf("Taken over from lithos_tree %s in the same process", left.Release)
		return u
	}
	log.Error().Msgf("The lithos_tree that is now in %s could not take over, this one (%s) continues: %s", u.path, version, left.Refused)
	return u
}

// run hands signals on, and requests for a reload as QUIT.
func (u *upgrader) run() {
	tried := make(chan error, 1)
	trying, stopping := false, false
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		sig := os.Signal(syscall.SIGQUIT)
		select {
		case sig = <-u.signals:
		case <-u.requests:
		case err := <-tried:
			trying = false
			if stopping {
				continue
			}
			if errors.Is(err, errReplaced) {
				break // replaced again, and a reload is pending: that program is tried
			}
			if err == nil {
				sig, err = u.upgrade()
			}
			if err != nil {
				u.log.Error().Msgf("The lithos_tree that is now in %s can't take over, this one (%s) continues: %v", u.path, version, err)
				u.handled <- sig
				continue
			}
		}
		switch {
		case sig == syscall.SIGTERM, sig == syscall.SIGINT:
			stopping = true
			cancel()
		case trying:
			continue // one reload follows, whoever does it
		case !stopping && len(tried) == 0 && u.replaced():
			trying = true
			go func() { tried <- u.try(ctx) }()
			continue
		}
		u.handled <- sig
	}
}

// replaced tells whether there is another program now. While there is none, as
// in the middle of an installation, there is nothing to take over.
func (u *upgrader) replaced() bool {
	if u.running == nil {
		return false
	}
	now, err := os.Stat(u.path)
	return err == nil && now.Mode().IsRegular() && !sameProgram(now, u.running) && (u.silent == nil || !sameProgram(now, u.silent))
}

// errReplaced is a program that was replaced once more while it was tried.
var errReplaced = errors.New("it was replaced once more while it was tried")

// try finds out whether the new program could take over.
func (u *upgrader) try(ctx context.Context) error {
	before, err := os.Stat(u.path)
	if err != nil {
		return err
	}
	if m, _ := configs.LoadMaster(u.o.config); m == nil {
		return fmt.Errorf("the master config %s can't be used", u.o.config)
	} else if changed := root.Fixed(u.master, m); len(changed) > 0 {
		return fmt.Errorf("%s was changed from %q to %q: that needs a stop and a start of lithos_tree", changed[0].Name, changed[0].Old, changed[0].New)
	}
	err = u.helpers.try(ctx, u.path, tryPatience)
	if errors.Is(err, errSilent) {
		u.silent = before
	}
	// The result of this trial no longer matters.
	if now, statErr := os.Stat(u.path); statErr == nil && !sameProgram(before, now) {
		return errReplaced
	}
	return err
}

// upgrade hands over. It returns if it can't, or with a TERM or INT that came
// before: then nothing has changed.
func (u *upgrader) upgrade() (os.Signal, error) {
	u.log.Warn().Msgf("Another lithos_tree is in %s: it takes over from this one (%s)", u.path, version)
	held := u.hold()
	// Signals from before the hold are delivered by now, or by the end of Stop.
	signal.Stop(u.signals)
	for len(u.signals) > 0 {
		if sig := <-u.signals; sig == syscall.SIGTERM || sig == syscall.SIGINT {
			signal.Notify(u.signals, root.Signals...)
			if held != nil {
				_ = held.End()
			}
			return sig, nil
		}
	}
	// The next program serves reloads that are asked for now.
	go func() {
		for range u.requests {
		}
	}()
	u.takeOver <- func() { u.become(held) }
	select {} // the exec ends this, too
}

// hold has the signals that come from here on kept for the next one. Where that
// can't be done, one that comes in the next few milliseconds ends the daemon, and
// no container.
func (u *upgrader) hold() (held *sigdefer.Held) {
	_, _, err := u.helpers.start(func() (int, error) {
		var err error
		if held, err = sigdefer.Start("/proc/self/exe", []string{"lithos_tree", holdSignals}); err != nil {
			return 0, err
		}
		return held.PID, nil
	})
	if err == nil {
		err = held.Await(startPatience)
	}
	if err != nil {
		u.log.Warn().Msgf("A signal that comes while the new lithos_tree starts would end it, as ptrace is not allowed here: %v", err)
		return nil
	}
	return held
}

// holdSignals is the command line of the child that does.
const holdSignals = "--hold-signals"

// heldSignals are those that the daemon handles.
func heldSignals() (list []syscall.Signal) {
	for _, sig := range root.Signals {
		list = append(list, sig.(syscall.Signal))
	}
	return list
}

// holdForParent is that child.
func holdForParent(stdin io.Reader, stdout, stderr io.Writer) int {
	// A signal to the daemon by its name must not end this process.
	signal.Ignore(root.Signals...)
	if err := sigdefer.Hold(os.Getppid(), heldSignals(), holdPatience, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFatal
	}
	return exitOK
}

// execute becomes a program that continues with these files. It returns only if
// that fails.
func (h *handover) execute(held *sigdefer.Held, path string, args []string, files map[string]*os.File) error {
	if held != nil {
		h.Holder = held.PID
		files[fileHold], files[fileHoldMask] = held.Files()
	}
	env, err := h.pack(files)
	if err != nil {
		return err
	}
	if held != nil {
		return held.Exec(path, args, env)
	}
	return fmt.Errorf("cannot execute %s: %w", path, syscall.Exec(path, args, env))
}

// become hands over when nothing is under way any more. If that fails, this very
// program takes over from itself: it has to start over all the same.
func (u *upgrader) become(held *sigdefer.Held) {
	if err := tellReloading(); err != nil {
		u.log.Error().Msgf("Cannot tell systemd that another lithos_tree takes over: %v", err)
	}
	h := &handover{Path: u.path, Generation: u.board.View().Reload.Begun, Readers: u.images.PIDs()}
	program, err := ownProgram()
	files := u.drain()
	files[fileProgram] = program
	maps.DeleteFunc(files, func(_ string, f *os.File) bool { return f == nil })
	err = errors.Join(err, h.execute(held, u.path, os.Args, files))
	h.Refused = err.Error()
	if program != nil {
		err = errors.Join(err, h.execute(held, descriptorPath(h.Files[fileProgram]), os.Args, files))
	}
	u.log.Error().Msgf("Fatal error, the containers run on: neither the lithos_tree in %s nor this one can be executed: %v", u.path, err)
	os.Exit(exitFatal)
}

// handBack has the program before this one continue, when this one can't start.
func (h *handover) handBack(reason error) error {
	program := h.take(fileProgram)
	fd, err := keepOpen(program)
	if err != nil {
		return err
	}
	next := &handover{Path: h.Path, Generation: h.Generation, Refused: reason.Error(), Readers: h.Readers}
	var held *sigdefer.Held
	if ask := h.take(fileHold); ask != nil {
		held = sigdefer.GoOn(h.Holder, ask, h.take(fileHoldMask))
	}
	return next.execute(held, descriptorPath(fd), h.Args, make(map[string]*os.File))
}
