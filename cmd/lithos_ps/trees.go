package main

// tree is a supervisor with the containers that run below it, as the original
// writes it (requirement R9).
type tree struct {
	PID      int     `json:"pid"` // of lithos_tree; 0 = it does not run
	Config   string  `json:"config"`
	Children []child `json:"children"`
}

// child is a container that runs. OK is false if it has no program.
type child struct {
	Name      string  `json:"name"`
	PID       int     `json:"pid"`
	OK        bool    `json:"ok"`
	Processes []group `json:"processes"`
}

// group is a child of PID 1 with its descendants. Times are clock ticks of
// 10 ms; StartTime counts from the host's start. Memory is bytes.
type group struct {
	PID             int    `json:"pid"`
	Processes       int    `json:"processes"`
	Threads         int    `json:"threads"`
	MemRSS          int64  `json:"mem_rss"`
	MemSwap         int64  `json:"mem_swap"`
	StartTime       uint64 `json:"start_time"`
	UserTime        uint64 `json:"user_time"`
	SystemTime      uint64 `json:"system_time"`
	ChildUserTime   uint64 `json:"child_user_time"`
	ChildSystemTime uint64 `json:"child_system_time"`
}

// addTrees fills in the trees.
func (s *snapshot) addTrees() {
	t := tree{Config: s.config, Children: []child{}}
	if s.Daemon != nil {
		t.PID = s.Daemon.PID
	}
	for _, r := range s.Instances {
		if r.PID == 0 {
			continue
		}
		c := child{Name: r.Name, PID: r.PID, Processes: []group{}}
		if knot := s.processes[r.PID]; knot != nil {
			for _, pid := range knot.children {
				c.Processes = append(c.Processes, s.processes.group(pid))
			}
		}
		c.OK = len(c.Processes) > 0
		t.Children = append(t.Children, c)
	}
	s.Trees = []tree{t}
}

func (all processes) group(pid int) group {
	g := group{PID: pid}
	for _, p := range all.below(pid) {
		g.Processes++
		g.Threads += p.threads
		g.MemRSS += p.rss
		g.MemSwap += swap(p.pid)
		g.UserTime += p.user
		g.SystemTime += p.system
		g.ChildUserTime += p.childUser
		g.ChildSystemTime += p.childSystem
		if p.pid == pid {
			g.StartTime = p.start
		}
	}
	return g
}
