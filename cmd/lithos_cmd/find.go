package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"lithos/configs"
)

// find gives the command that is asked for, under its final name and with the
// further arguments; all that is wrong with its configs is written to stderr.
func find(o *options, plan *configs.Plan, problems configs.Problems, stderr io.Writer) (*configs.Instance, *configs.Sandbox, error) {
	i := slices.IndexFunc(plan.Sandboxes, func(s *configs.Sandbox) bool { return s.Name == o.sandbox })
	if i < 0 {
		var names []string
		for _, s := range plan.Sandboxes {
			names = append(names, s.Name)
		}
		return nil, nil, fmt.Errorf("there is no sandbox %q in %s; there are: %s", o.sandbox, plan.Master.SandboxesDir, listed(names))
	}
	sb := plan.Sandboxes[i]
	i = slices.IndexFunc(sb.Processes, func(p *configs.Process) bool { return p.Name == o.name })
	if sb.Broken || sb.ProcessesBroken || i < 0 && len(problems.Of(o.sandbox, o.name)) > 0 {
		tell(problems.Of(o.sandbox, ""), stderr)
		return nil, nil, fmt.Errorf("cannot use the configs of sandbox %s; lithos_check shows their problems", o.sandbox)
	}
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no command %q in %s; there are: %s", o.name, sb.ProcessFile, listed(commands(sb)))
	}
	p := sb.Processes[i]
	tell(problems.Of(o.sandbox, o.name), stderr)
	switch {
	case p.Broken:
		return nil, nil, fmt.Errorf("cannot use the config of %s/%s; lithos_check shows its problems", o.sandbox, o.name)
	case p.Kind != configs.KindCommand:
		return nil, nil, fmt.Errorf("%s/%s is no command but a daemon that lithos_tree runs; for lithos_cmd give it `kind: Command` in %s", o.sandbox, o.name, sb.ProcessFile)
	}
	instance := *p.Instances[0].WithName(fmt.Sprintf("%s/cmd.%s.%d", o.sandbox, o.name, os.Getpid()))
	container := *instance.Container
	container.Arguments = slices.Concat(container.Arguments, o.args)
	instance.Container = &container
	return &instance, sb, nil
}

func commands(sb *configs.Sandbox) (names []string) {
	for _, p := range sb.Processes {
		if p.Kind == configs.KindCommand {
			names = append(names, p.Name)
		}
	}
	return names
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// tell writes errors; a warning is lithos_check's business, and would be in the
// way of the command's own output.
func tell(problems configs.Problems, stderr io.Writer) {
	for _, p := range problems.Distinct() {
		if p.Severity == configs.SeverityError {
			fmt.Fprintln(stderr, p)
		}
	}
}
