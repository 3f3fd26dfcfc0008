package process

import (
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/configs"
)

// TellLeft reports the end of an unwanted container of an earlier daemon, which
// has no actor: in the log and in the archive of deaths, as any other. Left is
// its state when found, its record the current one; ended says that this daemon
// ended it. A container without a record of its start, or that was reported
// before, is skipped.
func TellLeft(log zerolog.Logger, store *deaths.Store, left actors.Leftover, ended bool) {
	record := left.Info
	if record == nil || !record.Lived() || record.Noted {
		return
	}
	exit := learnt(actors.Exit{PID: left.PID, Unknown: true}, record, nil)
	if record.Forked != nil {
		exit.PID = record.Forked.PID
	}
	asked, wasAsked := endingOf(record)
	wasAsked = wasAsked && (record.Killing || record.Exited == nil || record.Exited.Asked)
	if ended {
		asked, wasAsked = actors.CauseRemoved, true
	}
	if store.Told(left.Name, exit.PID, record.Created.At) != nil {
		return // by a daemon that was killed before it could remove the record
	}
	f := facts{exit: exit, record: record, asked: asked, wasAsked: wasAsked}
	told := &status.Exit{
		At: exit.At, PID: exit.PID, Words: deathInWords(exit, record, left.KillTimeout), Cause: f.cause().String(),
		Failure: failed(exit, record, wasAsked), Uptime: exit.At.Sub(record.Created.At).Seconds(), Fingerprint: record.Created.Fingerprint,
	}
	told.Code, told.Signal = programStatus(exit, record)
	logDeath(log, left.Name, told, !ended, "")
	name := configs.ParseInstanceName(left.Name)
	d := &api.Death{
		Name: left.Name, Sandbox: name.Sandbox, Process: name.Process,
		Exit: *told, Started: record.Created.At, Restart: record.Created.Restarts,
		Version: &api.Version{Image: record.Created.Image, Fingerprint: record.Created.Fingerprint},
	}
	if wasAsked {
		d.Asked = asked.String()
	}
	store.AddNow(deaths.Entry{Death: d, From: -1})
}
