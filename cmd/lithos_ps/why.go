package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/report"
)

// story is all that is known of one instance, and what --why --json writes.
type story struct {
	Source string `json:"source"`
	// Instance is absent where it is gone, and only its deaths are known.
	Instance *row        `json:"instance,omitempty"`
	Asks     []string    `json:"asks,omitempty"` // limits and rights of its config
	Waits    string      `json:"waits"`          // the event that it waits for now
	Deaths   []api.Death `json:"deaths"`         // the newest first

	at time.Time
}

// tellWhy writes the story of one instance.
func tellWhy(ctx context.Context, o *options, master *configs.Master, s *snapshot, stdout *os.File) error {
	t := &story{Source: s.Source, at: s.At}
	for _, r := range s.Instances {
		if r.Name == o.why {
			t.Instance = r
		}
	}
	var err error
	if t.Deaths, err = readDeaths(ctx, master, s, o.why); err != nil {
		return err
	}
	if t.Instance == nil && len(t.Deaths) == 0 {
		return fmt.Errorf("there is no instance %q, and none of that name died lately; lithos_ps lists all: %s",
			o.why, strings.Join(similar(s, o.why), ", "))
	}
	// The config is worth a line only if it can be read.
	plan, _ := reader.Load(configs.Options{MasterFile: master.File})
	if in := wanted(plan)[o.why]; in != nil {
		t.Asks = asks(in.Container)
	}
	t.Waits = waits(s, t.Instance)
	if o.json {
		if t.Deaths == nil {
			t.Deaths = []api.Death{}
		}
		return report.WriteJSON(stdout, t)
	}
	v := &view{color: o.colored(report.For(stdout).Color)}
	_, err = fmt.Fprint(stdout, v.story(o.why, t))
	return err
}

// readDeaths asks the daemon, or reads the files of one that is dead.
func readDeaths(ctx context.Context, master *configs.Master, s *snapshot, name string) ([]api.Death, error) {
	if s.Source == sourceFiles {
		return deaths.Read(deaths.Dir(master.RuntimeDir), name)
	}
	client := api.NewClient(socket(master))
	defer client.Close()
	list, err := client.Deaths(ctx, name)
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return nil, nil
	}
	return list, err
}

// similar are the names of the same sandbox and process, or all sandboxes.
func similar(s *snapshot, name string) (names []string) {
	sandbox := configs.ParseInstanceName(name).Sandbox
	for _, r := range s.Instances {
		if r.Sandbox == sandbox && len(names) < 10 {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		for _, group := range together(s.Instances, func(r *row) string { return r.Sandbox }) {
			names = append(names, group[0].Sandbox)
		}
	}
	return names
}

// asks summarises the config of a container.
func asks(c *configs.Container) []string {
	list := []string{
		"image " + c.Image + ", config " + c.ConfigFile,
		"runs " + strings.Join(append([]string{c.Executable}, c.Arguments...), " "),
		fmt.Sprintf("as user %d, group %d", c.UserID, c.GroupID),
	}
	if len(c.UIDMap) > 0 {
		list[2] += ", in a user namespace"
	}
	var limits []string
	if c.MemoryLimit > 0 {
		limits = append(limits, "memory "+size(c.MemoryLimit))
	}
	if c.PIDsLimit > 0 {
		limits = append(limits, fmt.Sprintf("%d processes", c.PIDsLimit))
	}
	if c.CPUQuota > 0 {
		limits = append(limits, fmt.Sprintf("%g processors", float64(c.CPUQuota)/1000))
	}
	limits = append(limits, fmt.Sprintf("%d open files", c.FilenoLimit))
	list = append(list, "limits: "+strings.Join(limits, ", "))
	restart := fmt.Sprintf("restarted at most every %s, killed %s after %s", c.RestartTimeout, c.KillTimeout, c.StopSignalName())
	if c.RestartProcessOnly {
		restart += ", the process only"
	}
	list = append(list, restart)
	if c.Ready != nil {
		list = append(list, "ready when: "+c.Ready.What())
	}
	if c.Healthcheck != nil {
		list = append(list, fmt.Sprintf("healthcheck every %s: %s", c.Healthcheck.Interval, c.Healthcheck.What()))
	}
	if n := len(c.TCPPorts); n > 0 {
		ports := make([]string, n)
		for i, p := range c.TCPPorts {
			ports[i] = fmt.Sprint(p.Port)
		}
		list = append(list, "TCP ports "+strings.Join(ports, ", "))
	}
	for _, vol := range c.Volumes {
		list = append(list, strings.TrimSpace(fmt.Sprintf("volume %s: %s %s", vol.MountPoint, vol.Kind, vol.Source)))
	}
	return list
}

// waits names the event of the next step.
func waits(s *snapshot, r *row) string {
	switch {
	case r == nil:
		return "nothing: it is not in the configs any more"
	case r.State == stateStopped:
		return "lithos_tree to be started: no daemon answers"
	case r.State == api.StateWaiting:
		return nextTry(s, r) + ": " + r.NextTryWhy
	case r.State == api.StatePending:
		return "the daemon to begin with it"
	case r.State == api.StateStarting:
		return "its sockets and its PID 1"
	case r.State == api.StateRestarting:
		return "its container to end, because of its checks; restart-timeout counts then"
	case r.State == api.StateReplacing:
		return "the old container to end; the new version follows at once"
	case r.State == api.StateStopping:
		return "its container to end; it is not wanted any more"
	case slices.Contains(r.Conditions, api.ConditionSuspended):
		return fmt.Sprintf("a signal to go on: kill -CONT %d, its PID 1, or %d, its program", r.PID, r.ProgramPID)
	case slices.Contains(r.Conditions, api.ConditionSilent):
		return "a file system that does not answer: a process of it executes a program, and closes a file there for that"
	case r.Command:
		return "nothing: it is a command of lithos_cmd and ends by itself"
	case r.Ready != nil && !r.Ready.Ready:
		return "it to be ready: " + r.Ready.Check
	case slices.Contains(r.Conditions, api.ConditionOutdated) && r.Desired != nil:
		return "its turn to be replaced: max-unavailable of its process lets others become ready first"
	case r.Health != nil && r.Health.Failures > 0:
		return fmt.Sprintf("its next healthcheck: %d failures in a row end it", r.Health.Allowed)
	case slices.Contains(r.Conditions, api.ConditionFailing):
		return "ten seconds of running without a failure"
	case slices.Contains(r.Conditions, api.ConditionFrozen):
		return "its config to be corrected: see lithos_check"
	}
	return "nothing: it runs"
}

// story is the text for people.
func (v *view) story(name string, t *story) string {
	var b strings.Builder
	say := func(title, text string) { fmt.Fprintf(&b, "%-9s %s\n", title, clean(text)) }
	b.WriteString(clean(name) + "\n")
	if t.Source == sourceFiles {
		b.WriteString("lithos_tree does not run: this is the state by the runtime directory and /proc\n")
	}
	if r := t.Instance; r != nil {
		text := clean(r.Words)
		fmt.Fprintf(&b, "%-9s %s\n", "state", v.paint(stateColor(r), text))
		if r.PID != 0 {
			say("runs", fmt.Sprintf("PID 1 is %d, the program %d; since %s", r.PID, r.ProgramPID, r.Started.Format(time.RFC3339)))
		}
		if m := memory(r); m != "" {
			say("memory", m)
		}
		if r.Ready != nil && r.Ready.Ready {
			say("ready", "since "+r.Ready.At.Format(time.RFC3339))
		}
		if r.Standby != "" {
			say("standby", "the next container is "+r.Standby)
		}
		for _, d := range r.Degraded {
			say("degraded", d)
		}
		for _, p := range r.Problems {
			say("problem", fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text))
		}
		say("restarts", fmt.Sprintf("%d, failures in a row: %d", r.Restarts, r.FailuresInRow))
	}
	say("waits for", t.Waits)
	for i, ask := range t.Asks {
		title := ""
		if i == 0 {
			title = "asks for"
		}
		say(title, ask)
	}
	v.deaths(&b, t)
	return b.String()
}

// deaths lists them, with the last output before each.
func (v *view) deaths(b *strings.Builder, t *story) {
	if len(t.Deaths) == 0 {
		b.WriteString("deaths    none is known\n")
		return
	}
	fmt.Fprintf(b, "deaths    the last %d, the newest first\n", len(t.Deaths))
	for _, d := range t.Deaths {
		text := fmt.Sprintf("%s (%s ago): %s", d.At.Format(time.RFC3339), short(t.at.Sub(d.At)), clean(d.Words))
		if d.Uptime > 0 {
			text += " after " + short(seconds(d.Uptime))
		}
		color := ""
		if d.Failure {
			color = red
		}
		b.WriteString("  " + v.paint(color, text+" ["+clean(d.Cause)+"]") + "\n")
		if d.OOMKills != nil && *d.OOMKills > 0 {
			fmt.Fprintf(b, "    the kernel killed %d of its processes for want of memory, its limit is %s\n", *d.OOMKills, size(d.MemoryLimit))
		}
		if text := spentBy(&d); text != "" {
			b.WriteString("    " + text + "\n")
		}
		if len(d.SocketsShutDown) > 0 {
			fmt.Fprintf(b, "    the listening socket of %s was shut down, by it most likely; it has been restored\n", clean(strings.Join(d.SocketsShutDown, " and ")))
		}
		if d.Version != nil {
			fmt.Fprintf(b, "    it was image %s, config %s, version %s\n", clean(d.Version.Image), clean(d.Version.Config), clean(d.Version.Fingerprint))
		}
		for _, line := range d.Output {
			b.WriteString("    | " + clean(line) + "\n")
		}
		if len(d.Output) > 0 && d.OutputShared {
			b.WriteString("    (others write to " + clean(d.OutputFile) + " too)\n")
		}
	}
}

// spentBy says who wanted one to end, which start it was, and what it took.
func spentBy(d *api.Death) string {
	var parts []string
	if d.Asked != "" && d.Asked != d.Cause {
		parts = append(parts, "asked to end: "+clean(d.Asked))
	}
	if d.Restart > 0 {
		parts = append(parts, fmt.Sprintf("restart %d", d.Restart))
	}
	if d.CPU != nil {
		parts = append(parts, "CPU "+seconds(*d.CPU).Round(time.Millisecond).String())
	}
	if d.MemoryPeak != nil {
		parts = append(parts, "memory at most "+size(*d.MemoryPeak))
	}
	return strings.Join(parts, ", ")
}
