//go:build !guest

// Not in the virtual machine: nobody has seen yet how long it takes there.

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// chaosOptions are how much there is of it: LITHOS_E2E_CHAOS, or a little.
type chaosOptions struct {
	seed       uint64
	rounds     int           // 0 = until the duration is over
	duration   time.Duration // 0 = until the rounds are over
	containers int           // that things are done to
	only       string        // "kills" = nothing but SIGKILL of the daemon
}

// chaosAsked reads the options: `seed=1 rounds=100 duration=5m count=150 only=kills`.
func chaosAsked(t *testing.T) *chaosOptions {
	o := &chaosOptions{seed: uint64(time.Now().UnixNano()), rounds: 12, containers: 12}
	for _, field := range strings.Fields(os.Getenv("LITHOS_E2E_CHAOS")) {
		name, value, _ := strings.Cut(field, "=")
		if value == "" {
			continue
		}
		var err error
		switch name {
		case "seed":
			_, err = fmt.Sscan(value, &o.seed)
		case "rounds":
			_, err = fmt.Sscan(value, &o.rounds)
		case "duration":
			o.rounds = 0
			o.duration, err = time.ParseDuration(value)
		case "count":
			_, err = fmt.Sscan(value, &o.containers)
		case "only":
			o.only = value
		default:
			err = errors.New("unknown")
		}
		if err != nil {
			t.Fatalf("LITHOS_E2E_CHAOS: %s: %v", field, err)
		}
	}
	return o
}

// chaos is a host to which things are done, one after the other, at random. The
// seed decides on all of them: what, to whom, and after which pause; the moments
// in which they find the daemon are the machine's.
type chaos struct {
	*host
	*chaosOptions
	random  *rand.Rand
	client  *api.Client
	tree    string
	program []byte           // of lithos_tree
	wanted  []wanted         // by sandbox
	known   map[string]known // at the last settling
	books   *books
	trace   []string
	broken  bool // a file has an error just now
	done    map[string]int
}

// wanted is what the files want of a sandbox's process "web".
type wanted struct{ instances, version int }

// known is a container as it was found, and what was done to it since.
type known struct {
	instance
	killed  bool // it can't be the same
	changed bool // its config did: it may be another
}

const (
	chaosVersions = 3
	// In these sandboxes everybody listens on one port; nothing is ever done
	// to "calm", which therefore always serves.
	chaosSandboxes = 4
)

func (c *chaos) sandboxName(n int) string { return fmt.Sprintf("s%d", n) }

func (c *chaos) processText(n int) string {
	text := fmt.Sprintf("web: {image: app%d, config: /config/web%d.yaml, instances: %d}\ncalm: {image: app%d, config: /config/calm.yaml}\n",
		n, c.wanted[n].version, c.wanted[n].instances, n)
	if n == 0 {
		text += "dies: {image: app0, config: /config/dies.yaml, instances: 2}\n"
	}
	return text
}

// newChaos has a host with a port for each sandbox, and all containers running.
func newChaos(t *testing.T, o *chaosOptions) *chaos {
	t.Helper()
	c := &chaos{host: newHost(t), chaosOptions: o, random: rand.New(rand.NewPCG(o.seed, 0xc4a05)), done: map[string]int{}}
	c.books = newBooks(c.host)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay: make chaos SEED=%d ROUNDS=%d COUNT=%d ONLY=%s\nwhat was done:\n%s",
				o.seed, len(c.trace), o.containers, o.only, strings.Join(c.trace, "\n"))
		}
	})
	for n := range chaosSandboxes {
		port := c.port()
		configs := map[string]string{
			"calm": port3("kill-timeout: 60\n", port),
			"dies": simple("restart-timeout: 2\n", "run", "500", "3"),
		}
		for v := range chaosVersions {
			configs[fmt.Sprintf("web%d", v)] = port3(fmt.Sprintf("kill-timeout: 60\nenviron: {VERSION: \"%d\"}\n", v), port)
		}
		c.image(fmt.Sprintf("app%d", n), configs)
		c.wanted = append(c.wanted, wanted{instances: max(1, o.containers/chaosSandboxes)})
		c.sandbox(c.sandboxName(n), "", c.processText(n))
	}
	c.client = c.control()
	c.tree = c.own()
	c.program = []byte(c.read("bin/lithos_tree"))
	c.startTree()
	c.settle()
	return c
}

// startTree starts the daemon, and keeps nothing of that open.
func (c *chaos) startTree() {
	c.startOwn(c.tree)
	_ = c.daemon.cmd.Stdout.(*os.File).Close()
}

// note adds what is done to the trace.
func (c *chaos) note(format string, args ...any) {
	c.trace = append(c.trace, fmt.Sprintf("%4d ", len(c.trace)+1)+fmt.Sprintf(format, args...))
}

// round does something.
func (c *chaos) round() {
	c.t.Helper()
	if c.only == "kills" {
		c.killTree(false)
	} else {
		switch n := c.random.IntN(100); {
		case n < 25:
			c.killTree(true)
		case n < 50:
			c.killOne()
		case n < 62:
			c.suspendOne()
		case n < 80:
			c.switchOne()
		case n < 90:
			c.upgrade()
		default:
			c.breakOne()
		}
	}
	// Most often the next thing comes in the midst of what this one has brought.
	if c.random.IntN(3) == 0 {
		c.settle()
	}
}

// pause lets something begin, whatever it is: a moment, not a wait for anything.
func (c *chaos) pause(limit time.Duration) {
	time.Sleep(time.Duration(c.random.Int64N(int64(limit))))
}

// killTree kills the daemon and starts the next, which may not live for long.
func (c *chaos) killTree(more bool) {
	c.t.Helper()
	for again := true; again; again = c.random.IntN(4) == 0 {
		c.done["kill of the daemon"]++
		c.note("kill -9 of the daemon")
		c.pause(40 * time.Millisecond)
		c.killDaemon()
		for more && c.random.IntN(2) == 0 {
			c.killOne()
		}
		c.pause(30 * time.Millisecond)
		c.startTree()
	}
}

// victim is a container that there should be, and is the same with the same seed;
// without ok it does not run just now.
func (c *chaos) victim() (name string, i instance, ok bool) {
	n := c.random.IntN(chaosSandboxes)
	name = fmt.Sprintf("%s/web.%d", c.sandboxName(n), c.random.IntN(c.wanted[n].instances))
	i = c.instances()[name]
	return name, i, i.knot != 0
}

// process opens PID 1 of a container or its program, whichever chance says.
func (c *chaos) process(i instance) (what string, pidfd int, ok bool) {
	what, pid, start := "program", i.program, i.start
	if c.random.IntN(2) == 0 {
		what, pid, start = "PID 1", i.knot, i.knotStart
	}
	if pid == 0 {
		return what, 0, false
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return what, 0, false
	}
	if p, alive := readProcess(pid); !alive || p.start != start || p.state == "Z" {
		_ = unix.Close(pidfd)
		return what, 0, false
	}
	return what, pidfd, true
}

// killOne kills a program, or PID 1 above it.
func (c *chaos) killOne() {
	c.t.Helper()
	name, i, _ := c.victim()
	what, pidfd, ok := c.process(i)
	c.note("kill -9 of the %s of %s (%v)", what, name, ok)
	if !ok {
		return
	}
	defer unix.Close(pidfd)
	c.done["kill of a "+what]++
	c.books.kills(name, i.knot)
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil {
		return // it has just ended
	}
	if k := c.known[name]; k.knot == i.knot && k.knotStart == i.knotStart {
		k.killed = true
		c.known[name] = k
	}
}

// suspendOne stops a program or a PID 1 for some time, in which something else
// happens.
func (c *chaos) suspendOne() {
	c.t.Helper()
	name, i, _ := c.victim()
	what, pidfd, ok := c.process(i)
	c.note("SIGSTOP of the %s of %s (%v)", what, name, ok)
	if ok {
		defer unix.Close(pidfd)
		c.done["SIGSTOP of a "+what]++
		_ = unix.PidfdSendSignal(pidfd, unix.SIGSTOP, nil, 0)
	}
	c.pause(20 * time.Millisecond)
	switch c.random.IntN(3) {
	case 0:
		c.killTree(false)
	case 1:
		c.killOne()
	}
	c.pause(20 * time.Millisecond)
	if ok {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGCONT, nil, 0)
	}
}

// switchOne puts another process config of a sandbox to work.
func (c *chaos) switchOne() {
	c.t.Helper()
	n := c.random.IntN(chaosSandboxes)
	w, usual := &c.wanted[n], max(1, c.containers/chaosSandboxes)
	before := *w
	if c.random.IntN(2) == 0 {
		w.version = c.random.IntN(chaosVersions)
	}
	if c.random.IntN(2) == 0 {
		w.instances = max(1, usual-c.random.IntN(3))
	}
	c.done["switch"]++
	c.note("lithos_switch of %s from %+v to %+v", c.sandboxName(n), before, *w)
	c.books.switched(c.sandboxName(n))
	for index := range max(before.instances, w.instances) {
		name := fmt.Sprintf("%s/web.%d", c.sandboxName(n), index)
		if k, ok := c.known[name]; ok && (w.version != before.version || index >= w.instances || index >= before.instances) {
			k.changed = true
			c.known[name] = k
		}
	}
	c.listens()
	c.write("next.yaml", c.processText(n))
	if r := c.switchTo(c.sandboxName(n), c.path("next.yaml")); r.code != 0 {
		c.t.Errorf("lithos_switch ended with %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if c.random.IntN(3) == 0 {
		c.killTree(false) // while it is reading
	}
}

// upgrade replaces the daemon's file and has it take over.
func (c *chaos) upgrade() {
	c.t.Helper()
	c.listens()
	taken := strings.Count(c.read("log/master.log"), "Taken over from lithos_tree")
	c.replace(c.tree, c.program, 0o755)
	c.done["upgrade"]++
	wait := c.random.IntN(2) == 0
	c.note("an upgrade (waited for: %v)", wait)
	c.daemon.signal(syscall.SIGQUIT)
	if wait {
		c.saidTimes(taken+1, "Taken over from lithos_tree")
		return
	}
	c.pause(60 * time.Millisecond)
}

// breakOne breaks a file, has the daemon read it, does something else, and
// mends it.
func (c *chaos) breakOne() {
	c.t.Helper()
	c.readConfigs() // the last version that the daemon has read is kept
	n := c.random.IntN(chaosSandboxes)
	file := []string{
		"processes/" + c.sandboxName(n) + ".yaml", "sandboxes/" + c.sandboxName(n) + ".yaml",
		fmt.Sprintf("images/app%d/config/web%d.yaml", n, c.wanted[n].version),
	}[c.random.IntN(3)]
	good := c.read(file)
	text := []string{"web: [", strings.ReplaceAll(good, ": ", ": missing"), "no-such-option: 1\n" + good, good[:len(good)/2] + "\n\t: }"}[c.random.IntN(4)]
	c.done["broken edit"]++
	c.note("%s is broken by %q", file, text[:min(len(text), 30)])
	c.write(file, text)
	c.broken = true
	c.readConfigs()
	for c.random.IntN(3) > 0 {
		if c.random.IntN(2) == 0 {
			c.killTree(true)
		} else {
			c.killOne()
		}
	}
	if c.random.IntN(2) == 0 {
		c.settle()
	}
	c.write(file, good)
	c.broken = false
	c.note("%s is mended", file)
	c.readConfigs()
}

// readConfigs has the daemon read the files, and waits for that.
func (c *chaos) readConfigs() {
	c.t.Helper()
	eventually(c.t, "a reload", 60*time.Second, func() error {
		generation, err := c.client.Reload(c.t.Context())
		if err != nil {
			return err
		}
		for {
			status, err := c.client.Status(c.t.Context(), false)
			switch {
			case err != nil:
				return err
			case status.Reload.Begun < generation:
				return errors.New("it is another daemon")
			case status.Reload.Done >= generation:
				if broken := len(status.Objects) > 0 || status.Reload.Refused != ""; broken != c.broken {
					c.t.Errorf("after a reload %d objects are broken, refused is %q, want something broken: %v", len(status.Objects), status.Reload.Refused, c.broken)
				}
				return nil
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// settle waits until exactly what is wanted runs, and looks whether what nothing
// was done to is the same.
func (c *chaos) settle() {
	c.t.Helper()
	if !c.daemon.alive() {
		c.t.Fatalf("the daemon has ended: %v", c.daemon.err)
	}
	c.readConfigs()
	versions := map[string]int{}
	for n, w := range c.wanted {
		for _, name := range names(c.sandboxName(n)+"/web", w.instances) {
			versions[name] = w.version
		}
		versions[c.sandboxName(n)+"/calm.0"] = -1
	}
	var now map[string]instance
	eventually(c.t, "exactly what is wanted", 60*time.Second, func() error {
		now = c.instances()
		maps.DeleteFunc(now, func(name string, _ instance) bool { return strings.HasPrefix(name, "s0/dies.") })
		for name, version := range versions {
			i, ok := now[name]
			if k := c.known[name]; !ok || i.program == 0 {
				return fmt.Errorf("%s does not run", name)
			} else if k.killed && k.knot == i.knot && k.knotStart == i.knotStart {
				return fmt.Errorf("%s is still the one that was killed", name)
			}
			if text := fmt.Sprintf("VERSION=%d", version); version >= 0 && !slices.Contains(environment(i.program), text) {
				return fmt.Errorf("%s has no %s", name, text)
			}
		}
		if len(now) != len(versions) {
			return fmt.Errorf("%d containers run, want %d", len(now), len(versions))
		}
		return nil
	})
	for name, i := range now {
		k, before := c.known[name]
		same := k.knot == i.knot && k.knotStart == i.knotStart && k.program == i.program
		if before && !k.killed && !k.changed && !same {
			c.t.Errorf("nothing was done to %s, and it was %+v and is %+v", name, k.instance, i)
		}
		c.books.seen(name, i.knot)
	}
	c.known = make(map[string]known, len(now))
	for name, i := range now {
		c.known[name] = known{instance: i}
	}
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// environment is what a process was executed with.
func environment(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil
	}
	return strings.Split(string(data), "\x00")
}

// Kills, stops, switches, upgrades and broken files, in random order, replace
// only their own containers and refuse no connection. Every death is reported
// with its cause, and nothing is left.
//
// Covers: C23, G12, K12, N2, O2
func TestChaos(t *testing.T) {
	t.Parallel()
	o := chaosAsked(t)
	t.Logf("seed %d", o.seed)
	c := newChaos(t, o)
	usual := slices.Clone(c.wanted)
	crowd := newCrowd(c.ports)
	before := c.usage(c.daemon.cmd.Process.Pid)
	begin, rounds := time.Now(), 0
	for ; o.rounds > 0 && rounds < o.rounds || o.duration > 0 && time.Since(begin) < o.duration; rounds++ {
		c.round()
	}
	c.settle()
	took := time.Since(begin).Round(time.Second)
	// As at the beginning, to be compared with it.
	c.wanted = usual
	for n := range c.wanted {
		c.books.switched(c.sandboxName(n))
		c.processes(c.sandboxName(n), c.processText(n))
	}
	for name, k := range c.known {
		k.changed = true
		c.known[name] = k
	}
	c.settle()
	after := c.usage(c.daemon.cmd.Process.Pid)
	before.compare(t, after)
	visits := crowd.leave()
	c.stop()
	c.books.balance(visits)
	t.Logf("%d rounds with %d containers in %v: %v; %s; %s; the daemon: %v, at the end %v",
		rounds, o.containers, took, c.done, visits, c.books, before, after)
	if err := c.leftovers(); err != nil {
		t.Errorf("after the stop:\n%v", err)
	}
}
