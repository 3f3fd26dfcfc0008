package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// settleSeconds is how long any change may take on a slow, busy machine.
const settleSeconds = 30

// checker runs the steps of `make demo-check`.
type checker struct {
	*host
	daemon  *daemon
	started time.Time // when all instances were first seen
	visits  int       // the highest number seen
}

// step does one thing and says what it saw.
type step func(*checker) (saw string, err error)

// runChecks is the unattended demo. It stops at the first step that fails,
// shows the daemon's log then, and always ends the daemon.
func runChecks(h *host, signals <-chan os.Signal) error {
	log, err := os.Create(h.daemonLog())
	if err != nil {
		return err
	}
	defer log.Close()
	c := &checker{host: h}
	if c.daemon, err = h.startDaemon(log); err != nil {
		return err
	}
	steps := []step{
		(*checker).devices, (*checker).running, (*checker).contained, (*checker).limited,
		(*checker).killed, (*checker).scaledUp, (*checker).changed, (*checker).scaledDown, (*checker).broken, (*checker).mended,
		(*checker).logged, (*checker).stopped,
	}
	for _, s := range steps {
		select {
		case got := <-signals:
			err = fmt.Errorf("stopped by signal: %s", got)
		default:
			var saw string
			if saw, err = s(c); err == nil {
				fmt.Println("ok  ", saw)
			}
		}
		if err != nil {
			fmt.Println("FAIL", err)
			c.showLog()
			_ = c.daemon.stop()
			h.sweep()
			return errors.New("the check failed")
		}
	}
	return nil
}

func (h *host) daemonLog() string { return h.path("lithos_tree.log") }

// showLog prints the end of the daemon's log.
func (c *checker) showLog() {
	body, err := os.ReadFile(c.daemonLog())
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	lines = lines[max(0, len(lines)-30):]
	fmt.Printf("the log of lithos_tree ends with:\n    %s\n", strings.Join(lines, "\n    "))
}

// wait polls while the daemon lives.
func (c *checker) wait(f func() error) error {
	return waitFor(settleSeconds, func() error {
		if err := c.daemon.check(); err != nil {
			return fmt.Errorf("%w: %w", errNow, err)
		}
		return f()
	})
}

// devices: lithos_mkdev has made them before the daemon was started.
func (c *checker) devices() (string, error) {
	for _, name := range []string{"null", "zero", "random", "urandom", "tty", "full"} {
		info, err := os.Lstat(c.path("dev", name))
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeCharDevice == 0 || info.Mode().Perm() != 0o666 {
			return "", fmt.Errorf("%s is %s, expected a character device of mode 0666", c.path("dev", name), info.Mode())
		}
	}
	return "lithos_mkdev made the devices in " + c.path("dev"), nil
}

// running: three instances share the port, and nothing else runs.
func (c *checker) running() (string, error) {
	begin := time.Now()
	var first map[string]answer
	err := c.wait(func() (err error) {
		first, err = c.askAll(3)
		return err
	})
	if err != nil {
		return "", err
	}
	if _, err := c.settled(3, nil); err != nil {
		return "", err
	}
	c.started = time.Now()
	c.note(first)
	return fmt.Sprintf("three instances answer at %s: %s (after %s)", c.url(), names(first), since(begin)), nil
}

// killed: kill -9 of one program brings it back, the others continue, the
// persistent volume keeps its content and the tmpfs does not.
func (c *checker) killed() (string, error) {
	const victim = sandbox + "/" + process + ".1"
	before, err := c.settled(3, nil)
	if err != nil {
		return "", err
	}
	// A program that lived longer than its restart-timeout, a second, restarts at
	// once.
	err = c.wait(func() error {
		if time.Since(c.started) < time.Second {
			return fmt.Errorf("the instances are too young")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	begin := time.Now()
	if err := kill9(before[victim].program); err != nil {
		return "", err
	}
	var after map[string]container
	err = c.wait(func() (err error) {
		after, err = c.containers()
		if err == nil && (after[victim].program == 0 || after[victim].program == before[victim].program) {
			err = fmt.Errorf("%s is not back", victim)
		}
		return err
	})
	took := since(begin)
	if err != nil {
		return "", err
	}
	if _, err := c.settled(3, others(before, victim)); err != nil {
		return "", err
	}
	first, err := c.askAll(3)
	if err != nil {
		return "", err
	}
	a := first[victim]
	if a.here != 1 {
		return "", fmt.Errorf("the tmpfs of %s is not new: its first answer counts %d", victim, a.here)
	}
	if a.visit <= c.visits {
		return "", fmt.Errorf("the persistent volume lost visits: %d after %d", a.visit, c.visits)
	}
	c.note(first)
	return fmt.Sprintf("kill -9 of %s: back in %s (pid %d, now %d), its tmpfs new, its data kept; the others went on",
		victim, took, before[victim].program, after[victim].program), nil
}

// scaledUp: more instances leave the running ones alone.
func (c *checker) scaledUp() (string, error) {
	before, err := c.settled(3, nil)
	if err != nil {
		return "", err
	}
	if err := c.change("instances: 3", "instances: 4"); err != nil {
		return "", err
	}
	if _, err := c.settled(4, before); err != nil {
		return "", err
	}
	first, err := c.askAll(4)
	if err != nil {
		return "", err
	}
	c.note(first)
	return "instances: 4 and QUIT: a fourth answers, the three keep their pids", nil
}

// changed: another value of a variable makes other containers.
func (c *checker) changed() (string, error) {
	before, err := c.settled(4, nil)
	if err != nil {
		return "", err
	}
	if err := c.change("greeting: hello", "greeting: howdy"); err != nil {
		return "", err
	}
	err = c.wait(func() error {
		now, err := c.containers()
		if err != nil {
			return err
		}
		for name, old := range before {
			if now[name].program == 0 || now[name].program == old.program {
				return fmt.Errorf("%s was not replaced", name)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var first map[string]answer
	err = c.wait(func() (err error) {
		first, err = c.askAll(4)
		return err
	})
	if err != nil {
		return "", err
	}
	for _, a := range first {
		if a.greeting != "howdy" {
			return "", fmt.Errorf("%s still says %q", a.name, a.greeting)
		}
	}
	c.note(first)
	return "greeting: howdy and QUIT: all four are replaced and say howdy", nil
}

// scaledDown: instances that are not wanted any more end, the others stay.
func (c *checker) scaledDown() (string, error) {
	before, err := c.settled(4, nil)
	if err != nil {
		return "", err
	}
	if err := c.change("instances: 4", "instances: 2"); err != nil {
		return "", err
	}
	kept := others(before, sandbox+"/"+process+".2", sandbox+"/"+process+".3")
	if _, err := c.settled(2, kept); err != nil {
		return "", err
	}
	return "instances: 2 and QUIT: two are ended, the other two keep their pids", nil
}

// broken: a file with an error changes nothing, and the log says where it is.
func (c *checker) broken() (string, error) {
	before, err := c.settled(2, nil)
	if err != nil {
		return "", err
	}
	if err := c.change("image: "+image, "imaeg: "+image); err != nil {
		return "", err
	}
	var line string
	err = c.wait(func() error {
		if line = c.logLine(c.processes() + ":"); line == "" {
			return fmt.Errorf("lithos_tree does not tell of the error in %s", c.processes())
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if _, err := c.askAll(2); err != nil {
		return "", err
	}
	if _, err := c.settled(2, before); err != nil {
		return "", err
	}
	_, text, _ := strings.Cut(line, filepath.Dir(c.processes())+"/")
	return "a typo and QUIT: nothing changes, the log says " + text, nil
}

// mended: the next good file counts again.
func (c *checker) mended() (string, error) {
	before, err := c.settled(2, nil)
	if err != nil {
		return "", err
	}
	if err := c.change("imaeg: "+image, "image: "+image, "instances: 2", "instances: 3"); err != nil {
		return "", err
	}
	if _, err := c.settled(3, before); err != nil {
		return "", err
	}
	return "the typo mended, instances: 3 and QUIT: a third runs, the two keep their pids", nil
}

// stopped: TERM ends everything, with nothing left but the directory.
func (c *checker) stopped() (string, error) {
	begin := time.Now()
	if err := c.daemon.stop(); err != nil {
		return "", err
	}
	took := since(begin)
	if err := c.checkEnd(); err != nil {
		return "", err
	}
	files, err := c.runFiles()
	if err != nil {
		return "", err
	}
	if len(files) > 0 {
		return "", fmt.Errorf("lithos_tree left behind: %s", strings.Join(files, ", "))
	}
	if conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", fmt.Sprint(c.Port))); err == nil {
		conn.Close()
		return "", fmt.Errorf("port %d is still open", c.Port)
	}
	return fmt.Sprintf("TERM: exit code 0 after %s; no process, mount, cgroup, socket or state is left", took), nil
}

// runFiles are the files of the daemon in its runtime directory, without those
// for the next daemon: counters, deaths, good configs.
func (c *checker) runFiles() ([]string, error) {
	var files []string
	err := filepath.WalkDir(c.path("run"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == c.path("run", "deaths"):
			return fs.SkipDir
		case d.IsDir() || path == c.path("run", "metrics.meta") || path == c.path("run", "metrics.values") || path == c.path("run", "plan.json"):
			return nil
		}
		files = append(files, path)
		return nil
	})
	return files, err
}
