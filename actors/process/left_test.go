package process

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/deaths"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// How what nobody wants any more ended is told as well, once.
//
// Covers: K12, N10
func TestDeathOfAnUnadoptedContainerIsReported(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lived := records.Record{
		Created: records.Created{Name: "web/app.3", At: began, Restarts: 2},
		Forked:  &records.Forked{PID: 77, StartTime: 5}, Started: &wire.ProgramStarted{At: began},
	}
	with := func(exited *wire.ProgramExited, change func(*records.Record)) *records.Record {
		r := lived
		r.Exited = exited
		if change != nil {
			change(&r)
		}
		return &r
	}
	at := began.Add(2 * time.Second)
	for name, c := range map[string]struct {
		record *records.Record
		ended  bool
		want   string // "" = nothing is told
		cause  string
	}{
		"ended by this one":     {with(&wire.ProgramExited{Signal: 15, Asked: true, At: at}, nil), true, "was ended by SIGTERM after TERM, uptime 2s", "removed"},
		"by the one before":     {with(&wire.ProgramExited{Signal: 15, Asked: true, At: at}, func(r *records.Record) { r.Ending = "replaced" }), false, "was ended by SIGTERM after TERM, uptime 2s", "replaced"},
		"by itself":             {with(&wire.ProgramExited{Code: 3, At: at}, nil), false, "exited with code 3, uptime 2s", "itself"},
		"told of before":        {with(&wire.ProgramExited{Code: 3, At: at}, func(r *records.Record) { r.Noted = true }), false, "", ""},
		"never lived":           {&records.Record{Created: lived.Created}, false, "", ""},
		"nobody knows":          {nil, false, "", ""},
		"without a trace, TERM": {with(nil, func(r *records.Record) { r.Ending = "removed" }), false, "ended without a trace", "removed"},
	} {
		log := &bytes.Buffer{}
		dir := deaths.Dir(t.TempDir())
		store, err := deaths.New(dir, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second daemon finds it told
			TellLeft(zerolog.New(log), store, actors.Leftover{Name: "web/app.3", PID: 77, Info: c.record}, c.ended)
		}
		store.Close()
		list, err := deaths.Read(dir, "web/app.3")
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" {
			if log.Len() > 0 || len(list) > 0 {
				t.Errorf("%s: %s, %+v", name, log, list)
			}
			continue
		}
		if want := `Container \"web/app.3\" (pid 77) ` + c.want; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "cause: "+c.cause) {
			t.Errorf("%s: %s, want %s, cause: %s", name, log, want, c.cause)
		}
		if len(list) != 1 || list[0].Cause != c.cause || list[0].PID != 77 || list[0].Process != "app" || list[0].Sandbox != "web" || list[0].Restart != 2 {
			t.Errorf("%s: the record is %+v", name, list)
		}
	}
}
