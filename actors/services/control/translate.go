package control

import (
	"fmt"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/cgroup"
)

// translate is an instance as it is told.
func translate(in *status.Instance, config *status.Config, now time.Time) api.Instance {
	t := in.Instance
	t.Restarts, t.FailuresInRow = max(in.Starts-1, 0), in.Failures(now)
	if in.Queued != nil {
		t.NextTry, t.NextTryWhy = in.Queued()
	}
	name := configs.ParseInstanceName(in.Name)
	t.Sandbox, t.Process, t.Index = name.Sandbox, name.Process, name.Index
	if in.PID != 0 {
		t.Uptime = now.Sub(in.Started).Seconds()
		t.Running = versionOf(in.Current)
	}
	t.Desired = versionOf(config.Wanted[in.Name])
	t.Conditions = conditionsOf(in, config, now)
	for _, c := range t.Conditions {
		if c == api.ConditionFrozen {
			t.Problems = problemsOf(frozenProblems(config, t.Sandbox, t.Process))
		}
	}
	t.Words = words(&t, now) + checkWords(&t, in)
	if t.Says != "" {
		t.Words += "; it says: " + t.Says
	}
	return t
}

func conditionsOf(in *status.Instance, config *status.Config, now time.Time) []string {
	var list []string
	if in.Failing(now) {
		list = append(list, api.ConditionFailing)
	}
	if in.PID != 0 && len(in.Degraded) > 0 {
		list = append(list, api.ConditionDegraded)
	}
	if in.NotReady() {
		list = append(list, api.ConditionNotReady)
	}
	if in.Ailing() {
		list = append(list, api.ConditionUnhealthy)
	}
	if in.PID != 0 && in.Suspended {
		list = append(list, api.ConditionSuspended)
	}
	if name := configs.ParseInstanceName(in.Name); frozen(config, name.Sandbox, name.Process) {
		list = append(list, api.ConditionFrozen)
	}
	if in.PID != 0 && !config.Current(in) {
		list = append(list, api.ConditionOutdated)
	}
	return list
}

func frozen(config *status.Config, sandbox, process string) bool {
	for _, o := range config.Objects {
		if o.State == api.ObjectFrozen && o.Sandbox == sandbox && (o.Process == "" || o.Process == process) {
			return true
		}
	}
	return false
}

// frozenProblems are those of a process, or else of its sandbox.
func frozenProblems(config *status.Config, sandbox, process string) configs.Problems {
	if list := config.Problems.Of(sandbox, process); len(list) > 0 {
		return list
	}
	return config.Problems.Of(sandbox, "")
}

// words is a sentence.
func words(t *api.Instance, now time.Time) string {
	var b strings.Builder
	b.WriteString(t.State)
	switch {
	case t.State == api.StateRunning:
		fmt.Fprintf(&b, " for %s", short(now.Sub(t.Started)))
	case t.State == api.StateWaiting && t.NextTry.After(now):
		fmt.Fprintf(&b, ", next try in %s", short(t.NextTry.Sub(now)))
	case t.State == api.StateWaiting:
		b.WriteString(", next try at once")
	default:
		fmt.Fprintf(&b, " for %s", short(now.Sub(t.Since)))
	}
	if len(t.Conditions) > 0 {
		b.WriteString(", ")
		b.WriteString(strings.Join(t.Conditions, ", "))
	}
	if t.LastExit != nil && (t.State == api.StateWaiting || t.FailuresInRow > 0) {
		fmt.Fprintf(&b, "; the last one %s", t.LastExit.Words)
	}
	return b.String()
}

// checkWords describes its probes, as the end of the sentence.
func checkWords(t *api.Instance, in *status.Instance) string {
	switch {
	case in.Unhealthy != "":
		return "; " + in.Unhealthy
	case t.Ready != nil && !t.Ready.Ready && t.Ready.Why == "":
		return "; it is not ready yet (" + t.Ready.Check + ")"
	case t.Ready != nil && !t.Ready.Ready:
		return fmt.Sprintf("; it is not ready (%s: %s)", t.Ready.Check, t.Ready.Why)
	case t.Health != nil && t.Health.Failures > 0:
		return fmt.Sprintf("; its healthcheck failed %d of %d times (%s: %s)", t.Health.Failures, t.Health.Allowed, t.Health.Check, t.Health.Why)
	case t.Health != nil && t.Health.Why != "":
		return fmt.Sprintf("; its last healthcheck does not count (%s: %s)", t.Health.Check, t.Health.Why)
	}
	return ""
}

func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func versionOf(in *configs.Instance) *api.Version {
	if in == nil || in.Container == nil {
		return nil
	}
	return &api.Version{Image: in.Container.Image, Config: in.Container.ConfigFile, Fingerprint: in.Fingerprint}
}

func problemsOf(problems configs.Problems) []api.Problem {
	list := make([]api.Problem, 0, len(problems))
	for _, p := range problems {
		list = append(list, api.Problem{
			File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Text: p.Text,
			Severity: p.Severity.String(), Sandbox: p.Sandbox, Process: p.Process,
		})
	}
	return list
}

func objectsOf(config *status.Config) []api.Object {
	list := make([]api.Object, 0, len(config.Objects))
	for _, o := range config.Objects {
		o.Problems = problemsOf(config.Problems.Of(o.Sandbox, o.Process))
		list = append(list, o)
	}
	return list
}

// usageOf leaves out unknown values.
func usageOf(u cgroup.Usage) *api.Usage {
	known := func(n int64) *int64 {
		if n == cgroup.Unknown {
			return nil
		}
		return &n
	}
	t := &api.Usage{
		Memory: known(u.Memory), MemoryPeak: known(u.MemoryPeak), OOMKills: known(u.OOMKills), Processes: known(u.Processes),
	}
	if u.MemoryLimit > 0 {
		t.MemoryLimit = &u.MemoryLimit
	}
	if u.CPU != cgroup.Unknown {
		seconds := u.CPU.Seconds()
		t.CPU = &seconds
	}
	return t
}
