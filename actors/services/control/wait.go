package control

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/status"
)

// pause is the least time between two looks of one client, so that a storm of
// changes costs no more than this many.
const pause = 20 * time.Millisecond

const (
	// setupLimit is how long a container may take to be set up: one that is older
	// runs its program. It is that of package process, and some more.
	setupLimit = 2 * time.Minute
	// probePause is when to look again whether a program was started.
	probePause = 200 * time.Millisecond
)

// waiting is one GET /v1/wait.
type waiting struct {
	reload uint64
	state  string
	stable time.Duration
	scope  func(*status.Instance) bool
	named  bool // the scope is not all
	s      *Server
}

func (s *Server) wait(w http.ResponseWriter, r *http.Request) {
	reload, ok1 := number(w, r, "reload", 0)
	if !ok1 {
		return
	}
	stable, ok2 := seconds(w, r, "stable")
	if !ok2 {
		return
	}
	timeout, ok3 := seconds(w, r, "timeout")
	if !ok3 {
		return
	}
	words := r.URL.Query()
	q := &waiting{
		reload: reload, state: words.Get("state"), stable: stable, s: s,
		scope: scopeOf(r), named: words.Get("sandbox")+words.Get("process")+words.Get("instance") != "",
	}
	switch q.state {
	case "":
		q.state = "settled"
	case "settled", "running", "gone":
	default:
		refuse(w, http.StatusBadRequest, "state is settled, running or gone, not "+strconv.Quote(q.state))
		return
	}
	result := q.run(r, time.Now().Add(timeout))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	answer(w, http.StatusOK, result)
}

// run looks until it is as was asked for, or the time is over.
func (q *waiting) run(r *http.Request, deadline time.Time) *api.WaitResult {
	for {
		changed := q.s.c.Board.Changed()
		result, again, final := q.look(time.Now())
		left := time.Until(deadline)
		if result.OK || final || left <= 0 {
			return result
		}
		timer := time.NewTimer(min(left, again))
		select {
		case <-changed:
			time.Sleep(min(pause, left))
		case <-timer.C:
		case <-r.Context().Done():
			return result
		case <-q.s.done:
			return result
		}
		timer.Stop()
	}
}

// look tells what is missing at a moment; again is when something may be
// different although nothing changes, final that waiting makes no sense.
func (q *waiting) look(now time.Time) (result *api.WaitResult, again time.Duration, final bool) {
	view := q.s.c.Board.View()
	result = &api.WaitResult{
		Reload:    view.Reload,
		Instances: q.s.instancesOf(view, now, false, q.scope),
		Seq:       view.Seq,
	}
	again = time.Hour
	missing := func(format string, args ...any) {
		result.Missing = append(result.Missing, fmt.Sprintf(format, args...))
	}
	switch {
	case view.Reload.Done < q.reload:
		missing("the configs are being read: generation %d is done, not %d", view.Reload.Done, q.reload)
	case q.reload != 0 && view.Reload.Refused != "":
		missing("the reload was refused: %s", view.Reload.Refused)
		final = true
	}
	if q.state == "running" && q.named && len(result.Instances) == 0 {
		missing("nothing of that name is there, or wanted")
	}
	for i := range result.Instances {
		in := &result.Instances[i]
		if text, wait := q.missing(in, now); text != "" {
			missing("%s: %s", in.Name, text)
			again = min(again, wait)
		}
	}
	result.OK = len(result.Missing) == 0
	return result, again, final
}

// missing says what an instance is not yet; wait is when to look again.
func (q *waiting) missing(in *api.Instance, now time.Time) (text string, wait time.Duration) {
	wait = time.Hour
	switch {
	case q.state == "gone":
		return "it is there, " + in.Words, wait
	case in.Desired == nil && q.state == "settled":
		return "it is to be gone, and is there, " + in.Words, wait
	case in.Desired == nil:
		return "", 0
	case in.State != api.StateRunning:
		return in.Words, wait
	case q.state == "settled" && (in.Running == nil || in.Running.Fingerprint != in.Desired.Fingerprint):
		return "an earlier version runs", wait
	}
	if in.Ready != nil {
		if !in.Ready.Ready {
			return in.Words, wait
		}
		return "", 0 // it says so itself, no time has to show it
	}
	up := now.Sub(in.Started)
	if q.s.c.Probe != nil && q.stable > 0 && up >= q.stable && up < setupLimit+q.stable {
		// A probe is expensive, so it is made only for one.
		p := q.s.c.Probe([]Probed{{in.Name, in.PID}})[0]
		if p.Silent {
			return "its program " + silentWords, probePause
		}
		if p.ProgramPID == 0 {
			return "its program is not there yet", probePause
		}
		up = p.ProgramAge
	}
	if up < q.stable {
		return fmt.Sprintf("runs for %s, not for %s", short(up), q.stable), q.stable - up
	}
	return "", 0
}
