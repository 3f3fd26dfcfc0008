package rotation

import (
	"io/fs"
	"strings"
	"time"

	"lithos/sysx/proc"
)

// maxProcesses is how many processes of one container are looked at.
const maxProcesses = 4096

// writers counts what each process wrote since the option is on. A process that is
// older than that is counted from the first look at it.
type writers struct {
	begun     bool
	since     uint64 // as proc.Now counts; when the option began to hold
	size      int64  // of the file at the last look
	processes map[process]*written
}

// process is one for good: a pid is used again.
type process struct {
	pid   int
	start uint64
}

type written struct {
	container, comm string
	pid             int
	last            int64 // as the kernel counted at the last look
	bytes           int64 // since the last line of the log
	seen            bool  // at the last look
}

// sample looks who writes into the file, if it has grown and the last look is some
// time ago.
func (k *Keeper) sample(t *target, info fs.FileInfo) {
	now := time.Now()
	rest := now.Sub(t.rotated.sampledAt)
	if rest < longest/4 || t.writers.begun && (info.Size() == t.writers.size || rest < longest && info.Size() <= t.limit.Max) {
		return
	}
	t.rotated.sampledAt, t.writers.size = now, info.Size()
	if t.rotated.since.IsZero() {
		t.rotated.since = now
	}
	for _, w := range t.writers.processes {
		w.seen = false
	}
	for _, in := range k.board.View().Instances {
		if in.PID == 0 || !strings.HasPrefix(in.Name, t.sandbox+"/") {
			continue
		}
		for _, pid := range family(in.PID) {
			// Of those that can't be looked at nothing is known.
			if found, err := look(pid, info); err == nil && found.prints {
				t.writers.count(in.Name, pid, found)
			}
		}
	}
	t.writers.begun = true
	for key, w := range t.writers.processes {
		if !w.seen && w.bytes == 0 {
			delete(t.writers.processes, key)
		}
	}
}

// family is a process and all below it.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all) && len(all) < maxProcesses; i++ {
		if children, err := proc.Children(all[i]); err == nil {
			all = append(all, children...)
		}
	}
	return all
}

// found is the state of a process at one look.
type found struct {
	prints bool // into the file; otherwise the rest is not there
	comm   string
	start  uint64
	total  int64 // bytes that it has written
}

func look(pid int, file fs.FileInfo) (found, error) {
	return proc.WithDeadline(pid, func() (found, error) {
		if !proc.Prints(pid, file) {
			return found{}, nil
		}
		stat, err := proc.ReadStat(pid)
		if err != nil {
			return found{}, err
		}
		total, err := proc.Written(pid)
		return found{true, stat.Comm, stat.StartTime, total}, err
	})
}

func (ws *writers) count(container string, pid int, f found) {
	key := process{pid, f.start}
	w := ws.processes[key]
	if w == nil {
		if ws.processes == nil {
			ws.processes = make(map[process]*written)
		}
		w = &written{container: container, pid: pid}
		if f.start < ws.since {
			w.last = f.total
		}
		ws.processes[key] = w
	}
	w.comm, w.seen = f.comm, true
	w.bytes += f.total - w.last
	w.last = f.total
}

// busiest is the process that wrote the most, of the container that did.
func (ws *writers) busiest() (most written, ok bool) {
	sums := make(map[string]int64)
	for _, w := range ws.processes {
		sums[w.container] += w.bytes
	}
	for _, w := range ws.processes {
		if w.bytes == 0 {
			continue
		}
		a, b := sums[w.container], sums[most.container]
		if a > b || w.container == most.container && (w.bytes > most.bytes || w.bytes == most.bytes && w.pid < most.pid) {
			most, ok = *w, true
		}
	}
	return most, ok
}

func (ws *writers) clear() {
	for key, w := range ws.processes {
		w.bytes = 0
		if !w.seen {
			delete(ws.processes, key)
		}
	}
}
