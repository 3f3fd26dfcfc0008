package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mountTable is what this machine has mounted, a line a mount.
func mountTable() []string {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// lithosMounts are those that have to do with hosts of these tests: other mounts
// of the machine come and go as they like.
func lithosMounts() []string {
	return slices.DeleteFunc(mountTable(), func(line string) bool { return !strings.Contains(line, "lithos-e2e-") })
}

// cgroupRoots maps the controllers of each mounted hierarchy ("memory", "cpu",
// "name=lithos"; "" is version 2) to where it is mounted.
func cgroupRoots() map[string]string {
	roots := make(map[string]string)
	for _, line := range mountTable() {
		f := strings.Fields(line)
		switch {
		case len(f) < 4 || !strings.HasPrefix(f[1], "/sys/fs/cgroup"):
		case strings.Contains(f[1], "/lithos-e2e-"): // readOnlyCgroups of a test beside this one
		case f[2] == "cgroup2":
			roots[""] = f[1]
		case f[2] == "cgroup":
			for _, option := range strings.Split(f[3], ",") {
				roots[option] = f[1]
			}
		}
	}
	return roots
}

// cgroupNames is every cgroup that has to do with lithos on this machine
// (other ones come and go as they like).
func cgroupNames() []string { return cgroupsMatching("lithos-e2e-" + strconv.Itoa(os.Getpid()) + "-") }

// cgroupsMatching lists the directories of all hierarchies whose path
// contains a text.
func cgroupsMatching(text string) []string {
	var found []string
	// A cgroup may vanish under the walk; that is no error here.
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, text) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// process is what one line of the process table says.
type process struct {
	pid, ppid int
	state     string
	comm      string
	start     uint64 // clock ticks since boot
}

// processes lists all processes of the machine.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

func readProcess(pid int) (process, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name is in parentheses and may hold some itself.
	text := string(data)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 20 {
		return process{}, false
	}
	p := process{pid: pid, comm: text[open+1 : end], state: f[0]}
	p.ppid, _ = strconv.Atoi(f[1])
	p.start, _ = strconv.ParseUint(f[19], 10, 64)
	return p, true
}

// arguments is a process's command line.
func arguments(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

// processesOf lists the living processes that have to do with the directory
// of a host: by an argument, or by a mount in a mount namespace of their own
// (the devfs, which every container has, lies in that directory).
func processesOf(id string) []string {
	own, _ := os.Readlink("/proc/self/ns/mnt")
	var found []string
	for _, p := range processes() {
		if p.pid == os.Getpid() {
			continue
		}
		args := arguments(p.pid)
		ns, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", p.pid))
		if strings.Contains(strings.Join(args, " "), id) || (ns != "" && ns != own && mountsContain(p.pid, id)) {
			found = append(found, fmt.Sprintf("%d (%s, %s) %q", p.pid, p.comm, p.state, args))
		}
	}
	return found
}

func mountsContain(pid int, id string) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.Contains(lines.Text(), id) {
			return true
		}
	}
	return false
}

// leftovers says what of a host whose daemon has ended is still there.
func (h *host) leftovers() error {
	var errs []error
	for _, p := range processesOf(h.id) {
		errs = append(errs, fmt.Errorf("process %s", p))
	}
	for _, line := range mountTable() {
		if strings.Contains(line, h.id) {
			errs = append(errs, fmt.Errorf("mount %s", line))
		}
	}
	for _, dir := range cgroupsMatching(h.cgroup) {
		errs = append(errs, fmt.Errorf("cgroup %s", dir))
	}
	for _, port := range h.ports {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = c.Close()
			errs = append(errs, fmt.Errorf("port %d is still open", port))
		}
	}
	return errors.Join(append(errs, h.leftoverFiles())...)
}

// leftoverFiles wants nothing in the runtime directory but the empty
// directories that the next daemon uses again, and what is meant to stay: how
// containers died, the counters, and the good configs.
func (h *host) leftoverFiles() error {
	var errs []error
	err := filepath.WalkDir(h.path("run"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(h.path("run"), path)
		if err != nil {
			return err
		}
		switch rel {
		case ".", "state", "mnt", "containers", "notify", "metrics.meta", "metrics.values", "plan.json":
		case "deaths":
			return fs.SkipDir
		default:
			errs = append(errs, fmt.Errorf("%s in the runtime directory", rel))
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(append(errs, err)...)
}
