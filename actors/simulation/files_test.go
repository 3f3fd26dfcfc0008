package simulation

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"lithos/configs"
)

// sandboxFile is a sandbox config with its process config.
type sandboxFile struct {
	broken, processesBroken bool
	processes               map[string]*processEntry
}

// processEntry is an entry of a process config.
type processEntry struct {
	broken    bool
	kind      configs.Kind
	instances int
	version   int
	first     int // another version of instance 0: a renumbered address, say
	tweak     int // changes no fingerprint
	most      int // max-unavailable
}

// snapshot is the files at one moment, not changed any more.
type snapshot map[string]*sandboxFile

func (s *sim) snapshot() snapshot {
	snap := make(snapshot, len(s.files))
	for name, f := range s.files {
		snap[name] = f.clone()
	}
	return snap
}

func (f *sandboxFile) clone() *sandboxFile {
	c := *f
	c.processes = make(map[string]*processEntry, len(f.processes))
	for name, p := range f.processes {
		copied := *p
		c.processes[name] = &copied
	}
	return &c
}

// plan is what configs.Load makes of such files.
func (snap snapshot) plan() *configs.Plan {
	p := &configs.Plan{Master: &configs.Master{
		File: "/etc/lithos/master.yaml", RuntimeDir: "/run/lithos", StateDir: "/run/lithos/state",
		MountDir: "/run/lithos/mnt", DevfsDir: "/var/lib/lithos/dev", StdioLogDir: "/var/log/lithos/stderr",
		LogLevel: "info",
	}}
	for _, name := range slices.Sorted(maps.Keys(snap)) {
		f := snap[name]
		sb := &configs.Sandbox{
			Name: name, Config: &configs.SandboxConfig{LogLevel: "info"}, Broken: f.broken, ProcessesBroken: f.processesBroken,
		}
		if !f.broken && !f.processesBroken {
			for _, process := range slices.Sorted(maps.Keys(f.processes)) {
				sb.Processes = append(sb.Processes, f.processes[process].plan(name, process))
			}
		}
		p.Sandboxes = append(p.Sandboxes, sb)
	}
	return p
}

func (e *processEntry) plan(sandbox, name string) *configs.Process {
	p := &configs.Process{Name: name, Kind: e.kind, Broken: e.broken, Config: &configs.ProcessConfig{MaxUnavailable: e.most}}
	if e.broken {
		return p
	}
	for i := range e.instances {
		p.Instances = append(p.Instances, e.instance(sandbox, name, i))
	}
	return p
}

func (e *processEntry) fingerprint(index int) string {
	if index == 0 {
		return fmt.Sprintf("%d.%d", e.version, e.first)
	}
	return fmt.Sprint(e.version)
}

var (
	restartTimeouts = []time.Duration{0, time.Millisecond, time.Second, 1500 * time.Millisecond, 5 * time.Second, time.Minute}
	killTimeouts    = []time.Duration{0, time.Second, 5 * time.Second, 30 * time.Second}
)

// ports are those that containers listen on; those from ownPort on with
// reuse-port.
const (
	firstPort = 8000
	ownPort   = 8004
	lastPort  = 8005
)

// instance makes its options of its fingerprint, so that the same fingerprint
// is the same container.
func (e *processEntry) instance(sandbox, name string, index int) *configs.Instance {
	print := e.fingerprint(index)
	random := rand.New(rand.NewPCG(hash(sandbox, name, print), 1))
	c := &configs.Container{
		Image: "/images/i-" + print, Kind: configs.KindDaemon, Executable: "/bin/" + name,
		RestartTimeout: restartTimeouts[random.IntN(len(restartTimeouts))],
		KillTimeout:    killTimeouts[random.IntN(len(killTimeouts))],
	}
	switch random.IntN(6) {
	case 0:
		c.RestartProcessOnly = true
	case 1, 2:
		if c.RestartTimeout > 0 {
			c.RestartBackoff = configs.RestartBackoff{
				Factor: 1 + 2*random.Float64(), Cap: c.RestartTimeout + 30*time.Second, Reset: 10 * time.Second,
			}
			// An operator's shorter cap changes no container.
			if e.tweak%2 == 1 {
				c.RestartBackoff.Cap = c.RestartTimeout
			}
		}
	}
	for port := uint16(firstPort); port <= lastPort; port++ {
		if random.IntN(4) == 0 {
			c.TCPPorts = append(c.TCPPorts, configs.TCPPort{
				Port: port, FD: 3 + len(c.TCPPorts), Host: netip.IPv4Unspecified(), Backlog: 64 << random.IntN(2),
				ReuseAddr: true, ReusePort: port >= ownPort,
			})
		}
	}
	c.Standby = !c.RestartProcessOnly && (len(c.TCPPorts) == 0 || c.TCPPorts[len(c.TCPPorts)-1].Port < ownPort) &&
		hash(sandbox, name, print, "standby", fmt.Sprint(e.tweak))%3 > 0
	addChecks(c, rand.New(rand.NewPCG(hash(sandbox, name, print, "checks"), uint64(e.tweak))))
	return &configs.Instance{
		Sandbox: sandbox, Process: name, Index: index, Name: fmt.Sprintf("%s/%s.%d", sandbox, name, index),
		JSON: fmt.Sprint(e.tweak), Fingerprint: print, Container: c,
	}
}

// addChecks has some containers checked; they are no part of the fingerprint.
func addChecks(c *configs.Container, random *rand.Rand) {
	check := func() configs.Check {
		return configs.Check{Kind: configs.CheckTCP, Interval: upTo(random, 20*time.Second), Timeout: upTo(random, 5*time.Second)}
	}
	if random.IntN(4) == 0 {
		c.Ready = &configs.Ready{Check: check()}
		if random.IntN(3) == 0 {
			c.Ready.Within = time.Second + upTo(random, time.Minute)
		}
	}
	if random.IntN(4) == 0 {
		c.Healthcheck = &configs.Healthcheck{Check: check(), Failures: 1 + random.IntN(3)}
	}
}

func hash(words ...string) uint64 {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write([]byte(w + "\x00"))
	}
	return h.Sum64()
}

// good is the last good version of everything, by sandbox and process.
type good map[string]map[string]*processEntry

// merged is the plan after a reading, by requirement D12: a broken object stays
// as it was, a removed one is gone.
func (g good) merged(snap snapshot) good {
	now := make(good)
	for name, f := range snap {
		old, known := g[name]
		switch {
		case f.broken && !known:
			continue
		case f.broken:
			now[name] = old
			continue
		case f.processesBroken:
			now[name] = maps.Clone(old)
			continue
		}
		now[name] = make(map[string]*processEntry)
		for process, e := range f.processes {
			if !e.broken {
				now[name][process] = e
			} else if before := old[process]; before != nil {
				now[name][process] = before
			}
		}
	}
	return now
}

// instances are the containers that it asks for, by name.
func (g good) instances() map[string]*configs.Instance {
	all := make(map[string]*configs.Instance)
	for sandbox, processes := range g {
		for process, e := range processes {
			if e.kind == configs.KindCommand {
				continue
			}
			for i := range e.instances {
				inst := e.instance(sandbox, process, i)
				all[inst.Name] = inst
			}
		}
	}
	return all
}
