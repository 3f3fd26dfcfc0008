package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	bin, reference string // directories of programs; reference may be ""
	out, page      string // where the results go; "" = nowhere
	built          string // directory with the C programs; "" = they are compiled
	run            *regexp.Regexp
	quick          bool
}

func main() {
	var o options
	var run, only string
	flag.StringVar(&o.bin, "bin", "bin", "directory of our programs")
	flag.StringVar(&o.reference, "reference", "", "directory of another lithos's programs, to be measured too")
	flag.StringVar(&o.out, "o", "", "write FILE.json and FILE.svg, `FILE` being this")
	flag.StringVar(&o.page, "page", "", "put the table of goals into this `page`, between its markers")
	flag.StringVar(&run, "run", "", "run only benchmarks that match this pattern")
	flag.StringVar(&only, "compile", "", "compile the C programs into this `directory`, and measure nothing")
	flag.StringVar(&o.built, "built", "", "`directory` of what -compile has made, for a machine without a compiler")
	flag.BoolVar(&o.quick, "quick", false, "a run of seconds that shows that everything works; its numbers say little")
	flag.Parse()
	err := error(nil)
	if only != "" {
		err = compile(filepath.Join(only, "first"), filepath.Join(only, "limit"))
	} else {
		err = start(o, run)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func start(o options, run string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("real containers need root; run it as root")
	}
	if o.run, err = regexp.Compile(run); err != nil {
		return err
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if o.reference != "" {
		if o.reference, err = filepath.Abs(o.reference); err != nil {
			return err
		}
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	b.closeOnSignal()
	for _, one := range benchmarks {
		if !o.run.MatchString(one.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", one.name)
		begin := time.Now()
		if err := one.run(b); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.0f s\n", one.name, time.Since(begin).Seconds())
	}
	return b.result.publish(o)
}

// benchmarks are run in this order.
var benchmarks = []struct {
	name string
	run  func(*bench) error
}{
	{"start", (*bench).start},
	{"throughput", (*bench).throughput},
	{"latency", (*bench).latency},
	{"memory", (*bench).memory},
	{"scale", (*bench).scale},
	{"flapping", (*bench).flapping},
}

// bench is one run.
type bench struct {
	o      options
	dir    string
	tmpfs  string // as /run is on any host; the runtime-dirs are there
	first  string // the program in all containers, first/first.c
	limit  string // limit/limit.c
	groups []string
	result *Result
	hosts  int
	// running are process groups to be killed if the run ends early.
	running map[int]bool
}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "lithos-bench-")
	if err != nil {
		return nil, err
	}
	tmpfs := filepath.Join(dir, "run")
	// The images are also for who is root in a user namespace only.
	err = os.Chmod(dir, 0o711)
	if err == nil {
		err = os.Mkdir(tmpfs, 0o755)
	}
	if err == nil {
		err = unix.Mount("tmpfs", tmpfs, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("cannot mount a tmpfs for the runtime-dirs: %w", err)
	}
	b := &bench{o: o, dir: dir, tmpfs: tmpfs, first: filepath.Join(dir, "first"), limit: filepath.Join(dir, "limit"), running: map[int]bool{}}
	b.result = newResult(o)
	b.result.names = map[string]string{dir: "DIR", o.bin: "BIN"}
	if o.reference != "" {
		b.result.names[o.reference] = "REFERENCE_BIN"
	}
	if o.built != "" {
		b.first, b.limit = filepath.Join(o.built, "first"), filepath.Join(o.built, "limit")
		return b, nil
	}
	if err := compile(b.first, b.limit); err != nil {
		b.close()
		return b, err
	}
	return b, nil
}

// compile makes the two C programs.
func compile(first, limit string) error {
	for _, c := range [][]string{
		{"cc", "-O2", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie", "-o", first, "bench/first/first.c"},
		{"cc", "-O2", "-static", "-o", limit, "bench/limit/network.c", "bench/limit/limit.c"},
	} {
		if _, err := os.Stat(c[len(c)-1]); err != nil {
			return fmt.Errorf("run it in the root of the repository: %w", err)
		}
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build (a C compiler is needed: apt-get install gcc libc6-dev): %s: %w\n%s",
				strings.Join(c, " "), err, out)
		}
	}
	return nil
}

// pick is full, or quick in a quick run.
func (b *bench) pick(full, quick int) int {
	if b.o.quick {
		return quick
	}
	return full
}

// spawn starts a command in a process group of its own.
func (b *bench) spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.running[cmd.Process.Pid] = true
	return nil
}

// end asks a command to end, and waits until it has.
func (b *bench) end(cmd *exec.Cmd, sig syscall.Signal) error {
	if err := cmd.Process.Signal(sig); err != nil {
		return err
	}
	timer := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !timer.Stop() {
		err = errors.New("it did not end")
	}
	delete(b.running, cmd.Process.Pid)
	return err
}

func (b *bench) close() {
	for pid := range b.running {
		programs := programsOf(pid)
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		// A runtime tidies up once its program has ended.
		for _, p := range programs {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
	if len(b.running) > 0 {
		time.Sleep(2 * time.Second)
	}
	for pid := range b.running {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	// Another lithos leaves its control groups.
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		for _, name := range []string{"lithos-bench-%d-*.slice/*", "lithos-bench-%d-*.slice", "bench-%d-*"} {
			left, _ := filepath.Glob(pattern + fmt.Sprintf(name, os.Getpid()))
			for _, dir := range left {
				_ = syscall.Rmdir(dir) // files are none of ours
			}
		}
	}
	_ = unix.Unmount(b.tmpfs, unix.MNT_DETACH)
	_ = os.RemoveAll(b.dir)
}

func (b *bench) closeOnSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-c
		b.close()
		os.Exit(1)
	}()
}
