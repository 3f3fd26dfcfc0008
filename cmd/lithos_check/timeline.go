package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"time"

	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/report"
)

// triesTold is how many starts a timeline lists.
const triesTold = 12

// timeline is when a process is started whose program dies at once. Times are
// in seconds; a wait is from start to start.
type timeline struct {
	Process        string    `json:"process"` // SANDBOX/PROCESS
	RestartTimeout float64   `json:"restart_timeout"`
	RestartBackoff *backoff  `json:"restart_backoff,omitempty"`
	Tries          []attempt `json:"tries"`
	// Each later delay, once it has reached its maximum.
	Steady attempt `json:"steady"`

	// The budget that all restarts of the host share. It may delay each of them.
	RestartBudget *budget `json:"restart_budget,omitempty"`

	container *configs.Container
	budget    configs.RestartBudget
}

type budget struct {
	Rate  float64 `json:"rate"` // restarts a second
	Burst float64 `json:"burst"`
}

type backoff struct {
	Factor float64 `json:"factor"`
	Cap    float64 `json:"cap"`
	Jitter float64 `json:"jitter"`
	Reset  float64 `json:"reset"`
}

// attempt is one start. Jitter may make the wait before it, and the sum of all,
// as short as the least.
type attempt struct {
	Try       int     `json:"try"`
	LeastWait float64 `json:"least_wait"`
	Wait      float64 `json:"wait"`
	LeastAt   float64 `json:"least_at,omitempty"`
	At        float64 `json:"at,omitempty"` // since the first start
}

// tellTimeline is lithos_check --timeline; it returns the exit code.
func tellTimeline(o *options, stdout, stderr *os.File) int {
	plan, problems := reader.Load(o.loading())
	c, err := restarted(plan, o.timeline)
	if err != nil {
		_ = report.For(stderr).Print(problems) // the problems may be the reason
		fmt.Fprintf(stderr, "lithos_check: %v\n", err)
		return exitErrors
	}
	t := newTimeline(o.timeline, c)
	if b := plan.Master.RestartBudget; b.Rate != 0 && !c.RestartProcessOnly {
		t.budget, t.RestartBudget = b, &budget{b.Rate, b.Burst}
	}
	if o.json {
		err = report.WriteJSON(stdout, t)
	} else {
		err = t.print(stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "lithos_check: cannot write the timeline: %v\n", err)
		return exitErrors
	}
	return exitOK
}

// restarted finds the container of a process.
func restarted(plan *configs.Plan, name string) (*configs.Container, error) {
	if plan == nil {
		return nil, errors.New("the configs can't be read")
	}
	for _, s := range plan.Sandboxes {
		for _, p := range s.Processes {
			switch {
			case s.Name+"/"+p.Name != name:
			case p.Broken:
				return nil, fmt.Errorf("%s has errors in its configs", name)
			case p.Kind != configs.KindDaemon:
				return nil, fmt.Errorf("%s is a command: nothing starts it again", name)
			case len(p.Instances) == 0:
				return nil, fmt.Errorf("%s has no instances", name)
			default:
				return p.Instances[0].Container, nil
			}
		}
	}
	return nil, fmt.Errorf("there is no process %q that can be read; it is given as SANDBOX/PROCESS, such as web/app", name)
}

func newTimeline(name string, c *configs.Container) *timeline {
	t := &timeline{Process: name, RestartTimeout: c.RestartTimeout.Seconds(), container: c}
	b := c.RestartBackoff
	if b.Factor != 0 {
		t.RestartBackoff = &backoff{b.Factor, b.Cap.Seconds(), b.Jitter, b.Reset.Seconds()}
	}
	wait := func(failures int) (least, most time.Duration) {
		return b.Wait(c.RestartTimeout, failures, 1), b.Wait(c.RestartTimeout, failures, 0)
	}
	// The sums are of whole nanoseconds: seconds would not add up.
	var leastAt, at time.Duration
	t.Tries = append(t.Tries, attempt{Try: 1})
	for try := 2; try <= triesTold; try++ {
		least, most := wait(try - 1)
		leastAt, at = leastAt+least, at+most
		t.Tries = append(t.Tries, attempt{try, least.Seconds(), most.Seconds(), leastAt.Seconds(), at.Seconds()})
	}
	least, most := wait(math.MaxInt32)
	t.Steady = attempt{LeastWait: least.Seconds(), Wait: most.Seconds()}
	for t.Steady.Try = 2; ; t.Steady.Try++ {
		if _, w := wait(t.Steady.Try - 1); w == most || t.Steady.Try == math.MaxInt16 {
			return t
		}
	}
}

// print writes it for people.
func (t *timeline) print(out io.Writer) error {
	b := t.container.RestartBackoff
	fmt.Fprintf(out, "%s: restart-timeout %s", t.Process, inSeconds(t.RestartTimeout, t.RestartTimeout))
	switch {
	case b.Factor != 0:
		fmt.Fprintf(out, ", restart-backoff %s\n", b)
	case t.container.RestartProcessOnly:
		fmt.Fprint(out, ", by PID 1 in the same container (restart-process-only)\n")
	default:
		fmt.Fprint(out, ", no restart-backoff\n")
	}
	fmt.Fprint(out, "If its program dies at once, it is started\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "try\tafter the try before\tafter the first\t\n")
	for _, a := range t.Tries {
		fmt.Fprintf(w, "%d\t%s\t%s\t\n", a.Try, inSeconds(a.LeastWait, a.Wait), inSeconds(a.LeastAt, a.At))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFrom try %d on the wait is %s.\n", t.Steady.Try, inSeconds(t.Steady.LeastWait, t.Steady.Wait))
	if b.Factor != 0 {
		fmt.Fprintf(out, "A run of %s, or another config, ends the row of failures. A normal exit is not delayed.\n", b.Reset)
	}
	if t.RestartBudget != nil {
		fmt.Fprintf(out, "All restarts of the host share restart-budget: %s. Where more want to, it takes longer.\n", t.budget)
	}
	_, err := fmt.Fprint(out, "Times are from start to start, without the duration of a start.\n")
	return err
}

// inSeconds is such as "1.5s", or "0.8s to 1.5s".
func inSeconds(least, most float64) string {
	words := func(s float64) string {
		return time.Duration(math.Round(s * float64(time.Second))).Round(time.Millisecond).String()
	}
	if least == most {
		return words(most)
	}
	return words(least) + " to " + words(most)
}
