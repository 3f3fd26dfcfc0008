package catalog

import (
	"strconv"
	"strings"

	"lithos/configs/inspect"
)

// Traits are what lithos_check warns of. Rows of the same program that were not
// seen to do the same warn of nothing there; of times the shorter one counts.
func Traits(rows []*Row) []inspect.Trait {
	var all []inspect.Trait
	at := map[Match]int{}
	for _, r := range rows {
		if r.Match.Executable == "" {
			continue
		}
		t := r.trait()
		n, known := at[r.Match]
		if !known {
			at[r.Match] = len(all)
			all = append(all, t)
			continue
		}
		old := &all[n]
		old.StopSeconds = min(old.StopSeconds, t.StopSeconds)
		if old.Exit != t.Exit {
			old.Exit = 0
		}
		old.OwnSocket = old.OwnSocket && t.OwnSocket
		old.Silent = old.Silent && t.Silent
		old.SharedMem = old.SharedMem && t.SharedMem
	}
	for _, r := range rows {
		if r.Wrapper != nil {
			all = append([]inspect.Trait{{Program: r.Program, Executable: r.Wrapper.Script, Instead: r.Wrapper.Instead}}, all...)
		}
	}
	return all
}

func (r *Row) trait() inspect.Trait {
	t := inspect.Trait{
		Program: r.Program, Executable: r.Match.Executable, Argument: r.Match.Argument,
		OwnSocket: r.Seen.Socket.How == "not taken",
		Silent:    r.Seen.Notify == "nothing" && !r.Runtime,
	}
	term := r.Seen.Stop["TERM"]
	if term.Seconds >= 5 { // the default of kill-timeout
		t.StopSeconds = term.Seconds
	}
	if code, ok := strings.CutPrefix(term.Ends, "exit "); ok {
		t.Exit, _ = strconv.Atoi(code)
	}
	for _, volume := range r.Seen.Needs {
		t.SharedMem = t.SharedMem || volume == "/dev/shm"
	}
	if r.Seen.Memory == "the host's" {
		t.Sizes = r.Sizes
	}
	return t
}
