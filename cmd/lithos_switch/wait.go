package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/configs"
	"lithos/configs/report"
)

// look is how often the daemon is asked at least, for who watches.
const look = 500 * time.Millisecond

// outcome is what became of one instance, for --json.
type outcome struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	State string `json:"state"`
	Words string `json:"words"`
	// Output are the last lines of one that failed.
	Output []string `json:"output,omitempty"`
	// OutputShared says that some of them may be another container's.
	OutputShared bool `json:"output_shared,omitempty"`

	desired string // the fingerprint of the version that is to be up, "" = none
}

// watch follows a switch through the control socket.
type watch struct {
	s      *switcher
	client *api.Client
	// before is how each instance had ended last before the switch: what ended
	// since is another. Not the time tells, which may be set meanwhile.
	before map[string]*api.Exit
	// generation is the reading of the files that is waited for.
	generation uint64
	shown      map[string]string // the last text printed about each instance
	line       int               // length of the line of progress on a terminal
	lost       error             // why the daemon does not answer
}

// reloadAndWait has the daemon read the file and follows what that does, until
// all of the sandbox runs as it should, or has failed.
func (s *switcher) reloadAndWait(m *configs.Master) error {
	client := api.NewClient(filepath.Join(m.RuntimeDir, api.SocketName))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	w := &watch{s: s, client: client, before: map[string]*api.Exit{}, shown: map[string]string{}}
	// Before the generation: that is of this daemon, or of one that was started
	// after it, when the file was in its place.
	if status, err := client.Status(ctx, false); err == nil {
		s.daemon = status.Daemon.PID
		for i := range status.Instances {
			w.before[status.Instances[i].Name] = status.Instances[i].LastExit
		}
	}
	generation, err := client.Reload(ctx)
	if errors.Is(err, api.ErrNotRunning) {
		return fmt.Errorf("%s is in place, but there is nothing to wait for: no lithos_tree answers at its control socket (%w)", s.target, err)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s is in place, and not all came up within %s: the daemon has not answered", s.target, s.timeout)
	}
	if err != nil {
		return fmt.Errorf("%s is in place, but the daemon could not be reloaded: %w", s.target, err)
	}
	w.generation = generation
	return w.follow(ctx)
}

func (w *watch) follow(ctx context.Context) error {
	generation := w.generation
	defer w.endLine()
	for {
		result, err := w.client.Wait(ctx, api.Wait{Reload: generation, Sandbox: w.s.sandbox, Stable: w.s.stable, Timeout: look})
		if refusal := (*api.Error)(nil); err != nil && !errors.As(err, &refusal) && ctx.Err() == nil {
			// It is being upgraded, or was killed and is restarted.
			generation = w.reconnect(ctx, generation, err)
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				err = errors.Join(fmt.Errorf("not all came up within %s", w.s.timeout), w.lost)
			}
			return w.summarise(err)
		}
		if result.Reload.Done >= generation && result.Reload.Refused != "" {
			return fmt.Errorf("%s is in place, but the daemon refused it: %s", w.s.target, result.Reload.Refused)
		}
		w.s.outcomes = w.outcomes(result)
		w.progress(result)
		if result.OK || result.Reload.Done >= generation && w.decided(result) {
			status, err := w.client.Status(ctx, false)
			if err != nil && ctx.Err() == nil {
				generation = w.reconnect(ctx, generation, err)
				continue
			}
			return w.summarise(errors.Join(err, w.unused(status)))
		}
	}
}

// reconnect waits for the daemon to be back, until the context ends, and gives the
// generation to wait for. One that has taken over in the same process counts on;
// one that was restarted has read the new file at its start.
func (w *watch) reconnect(ctx context.Context, generation uint64, reason error) uint64 {
	if !w.s.json && w.lost == nil {
		w.endLine()
		fmt.Fprintf(w.s.stderr, "the daemon has gone, waiting for it to be back: %v\n", reason)
	}
	w.lost = reason
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
	status, err := w.client.Status(ctx, false)
	if err != nil {
		return generation
	}
	w.lost = nil
	if status.Daemon.PID != w.s.daemon {
		w.s.daemon, generation = status.Daemon.PID, 1
	}
	w.generation = generation
	return generation
}

// outcomes say of each instance whether it is up.
func (w *watch) outcomes(result *api.WaitResult) []outcome {
	missing := func(name string) bool {
		return slices.ContainsFunc(result.Missing, func(text string) bool { return strings.HasPrefix(text, name+": ") })
	}
	list := make([]outcome, 0, len(result.Instances))
	for _, in := range result.Instances {
		o := outcome{Name: in.Name, OK: !missing(in.Name), State: in.State, Words: in.Words}
		if in.Desired != nil {
			o.desired = in.Desired.Fingerprint
		}
		if !o.OK && result.Reload.Done >= w.generation && w.endedAtOnce(&in) {
			o.Words = fmt.Sprintf("ended by itself after %.2f s with exit code %d, and restarts again and again: a daemon has to keep running (see kind: Command for programs that end)",
				in.LastExit.Uptime, in.LastExit.Code)
		}
		list = append(list, o)
	}
	return list
}

// own tells whether it was the wanted version that ended, since the switch. The
// one before it may end by itself at any moment until it is replaced. A
// lithos_tree of an earlier release does not tell them apart.
func (w *watch) own(name string, e *api.Exit, desired string) bool {
	before := w.before[name]
	since := before == nil || !e.At.Equal(before.At) || e.PID != before.PID
	return since && (e.Fingerprint == desired || e.Fingerprint == "")
}

// failed tells whether an instance was tried since the switch, and failed.
func (w *watch) failed(in *api.Instance) bool {
	e := in.LastExit
	return in.Desired != nil && in.FailuresInRow > 0 && e != nil && e.Failure && w.own(in.Name, e, in.Desired.Fingerprint)
}

// endedAtOnce tells whether an instance ended by itself since the switch, before
// it could count as up. That is no failure, but a daemon that is done at once has
// something wrong with it.
func (w *watch) endedAtOnce(in *api.Instance) bool {
	e := in.LastExit
	return in.Desired != nil && e != nil && !e.Failure && e.Cause == api.CauseItself &&
		w.own(in.Name, e, in.Desired.Fingerprint) && e.Uptime < w.s.stable.Seconds()
}

// unused is an error if the daemon could not use what was checked here, since
// something was changed in between: then it continues with an earlier version,
// which is up and is not what was asked for.
func (w *watch) unused(status *api.Status) error {
	for _, o := range status.Objects {
		if o.Sandbox != w.s.sandbox {
			continue
		}
		what, why := "the sandbox", "see its log"
		if o.Process != "" {
			what = o.Process
		}
		if len(o.Problems) > 0 {
			why = o.Problems[0].Text
		}
		return fmt.Errorf("%s is in place, but the daemon can't use %s as it is in the files now: %s", w.s.target, what, why)
	}
	return nil
}

// decided tells whether nothing more is to be waited for: what is not up has
// failed, or has ended at once.
func (w *watch) decided(result *api.WaitResult) bool {
	for i := range w.s.outcomes {
		in := &result.Instances[i]
		if !w.s.outcomes[i].OK && !w.failed(in) && !w.endedAtOnce(in) {
			return false
		}
	}
	return true
}

// progress says what changed: on a terminal in a line that is written over,
// elsewhere in a line each.
func (w *watch) progress(result *api.WaitResult) {
	if w.s.json {
		return
	}
	up := 0
	var now string
	for _, o := range w.s.outcomes {
		words := o.Words
		if o.OK {
			up++
			words = "up"
		} else if now == "" {
			now = "; " + o.Name + " " + words
		}
		if w.shown[o.Name] != words && report.For(w.s.stderr).Width == 0 {
			fmt.Fprintf(w.s.stderr, "%s %s\n", o.Name, words)
		}
		w.shown[o.Name] = words
	}
	width := report.For(w.s.stderr).Width
	if width == 0 {
		return
	}
	text := []rune(fmt.Sprintf("%d of %d up%s", up, len(w.s.outcomes), now))
	text = text[:min(len(text), width-1)]
	fmt.Fprintf(w.s.stderr, "\r%s%s", string(text), strings.Repeat(" ", max(0, w.line-len(text))))
	w.line = len(text)
}

// endLine leaves the line of progress.
func (w *watch) endLine() {
	if w.line > 0 {
		fmt.Fprintln(w.s.stderr)
		w.line = 0
	}
}

// summarise is the end: an error names instances that are not up, and why.
func (w *watch) summarise(err error) error {
	w.endLine()
	var down []string
	for i := range w.s.outcomes {
		o := &w.s.outcomes[i]
		if o.OK {
			continue
		}
		text := o.Name + " " + o.Words
		w.lastWords(o)
		if n := len(o.Output); n > 0 {
			text += ", its last line: " + show(o.Output[n-1])
			if o.OutputShared {
				text += " (or another container's, which writes there, too)"
			}
		}
		down = append(down, text)
	}
	switch {
	case len(down) > 0:
		return errors.Join(err, fmt.Errorf("%s is in place, but not all is up: %s", w.s.target, strings.Join(down, "; ")))
	case err != nil:
		return err
	}
	w.s.say("all %d instances of %s are up", len(w.s.outcomes), w.s.sandbox)
	return nil
}

// lastWords looks for what the wanted version of an instance wrote before it died
// last.
func (w *watch) lastWords(o *outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	deaths, err := w.client.Deaths(ctx, o.Name)
	if err != nil || len(deaths) == 0 || !w.own(o.Name, &deaths[0].Exit, o.desired) {
		return
	}
	// Starts and deaths are noted there as well (requirement P2).
	lines := slices.DeleteFunc(deaths[0].Output, func(line string) bool { return strings.Contains(line, ": ----- ") })
	const most = 10
	o.Output, o.OutputShared = lines[max(0, len(lines)-most):], deaths[0].OutputShared
}
