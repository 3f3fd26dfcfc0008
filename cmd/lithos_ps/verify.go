package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"lithos/actors/services/api"
	"lithos/cmd/internal/reader"
	"lithos/cmd/lithos_ps/readback"
	"lithos/configs"
	"lithos/configs/report"
)

// errDifferent is that --verify has found a difference; it has told it.
var errDifferent = errors.New("not everything is as it was asked for")

// verdict is what --verify finds of one instance.
type verdict struct {
	Name string `json:"name"`
	// OK is that it is as it was asked for. If not, either Differences says what is
	// different, or Skipped why it was not looked at.
	OK          bool                  `json:"ok"`
	Differences []readback.Difference `json:"differences,omitempty"`
	Skipped     string                `json:"skipped,omitempty"`
}

// verify compares running containers with their configs.
func verify(o *options, master *configs.Master, s *snapshot, stdout *os.File) error {
	plan, _ := reader.Load(configs.Options{MasterFile: master.File})
	supervisor := os.Getpid()
	if s.Daemon != nil {
		supervisor = s.Daemon.PID
	}
	host, err := readback.HostOf(supervisor)
	if err != nil {
		return err
	}
	all, list := wanted(plan), []verdict{}
	different := false
	for _, r := range s.Instances {
		if r.Command {
			continue // its config may be another by now
		}
		v := verdictOf(host, r, all[r.Name])
		different = different || len(v.Differences) > 0
		list = append(list, v)
	}
	if o.json {
		err = report.WriteJSON(stdout, map[string]any{"source": s.Source, "instances": list})
	} else {
		v := &view{color: o.colored(report.For(stdout).Color)}
		_, err = fmt.Fprint(stdout, v.verdicts(list))
	}
	if err == nil && different {
		err = errDifferent
	}
	return err
}

func verdictOf(host *readback.Host, r *row, in *configs.Instance) verdict {
	v := verdict{Name: r.Name}
	switch {
	case r.State != api.StateRunning:
		v.Skipped = "it does not run: " + r.State
	case in == nil:
		v.Skipped = "its config has errors, or it is not wanted any more; see lithos_check"
	case r.Running == nil || r.Running.Fingerprint != in.Fingerprint:
		v.Skipped = "it runs an earlier config"
	case r.ProgramPID == 0:
		v.Skipped = "its program is not there, or can't be looked at"
	}
	if v.Skipped != "" {
		return v
	}
	seen, err := readback.Look(r.ProgramPID, readback.Paths(in.Container))
	if err != nil {
		v.Skipped = err.Error()
		return v
	}
	v.Differences = host.Compare(in.Container, seen)
	sockets, err := readback.CompareSockets(r.PID, in.Container)
	if err != nil {
		v.Skipped = err.Error()
		return v
	}
	v.Differences = append(v.Differences, sockets...)
	v.OK = len(v.Differences) == 0
	return v
}

// verdicts is the text for people: the differences, and the sums.
func (v *view) verdicts(list []verdict) string {
	var b strings.Builder
	good, bad, skipped := 0, 0, 0
	for _, r := range list {
		switch {
		case r.OK:
			good++
		case r.Skipped != "":
			skipped++
			b.WriteString(clean(r.Name) + "  " + v.paint(yellow, "not looked at: "+clean(r.Skipped)) + "\n")
		default:
			bad++
			b.WriteString(clean(r.Name) + "\n")
			for _, d := range r.Differences {
				b.WriteString("    " + v.paint(red, clean(d.What)) + clean(": asked for is "+d.Asked+", it is "+cmp.Or(d.Is, "nothing")) + "\n")
			}
		}
	}
	fmt.Fprintf(&b, "%d as asked for, %d different, %d not looked at\n", good, bad, skipped)
	return b.String()
}
