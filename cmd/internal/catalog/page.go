package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// intro is what the page says before its tables.
const intro = `# Programs

<!-- Made from examples/programs by ` + "`go test ./cmd/internal/catalog -update`" + `: change it there. -->

How %d programs behave in a container: what they do to a socket that is passed to them, to signals, to volumes. Each row is
seen by a run of the version that stands there, with the config that its link leads to, or it is ` + "`-`" + `. ` + "`make programs`" + ` runs all
of them again and fails when a cell is different; ` + "`make test`" + ` does so with those marked °.

To run one: put its packages and the files of its row into an image, its ` + "`container`" + ` text as ` + "`/config/NAME.yaml`" + ` beside them, and an empty
file ` + "`/notify`" + ` where it has ` + "`ready: {notify}`" + `. The mount points of its volumes have to exist. User 33 is Debian's www-data; the sandbox
allows it and the port. [lithos_check](lithos_check.md) knows these programs and warns of what a config forgets.

`

// legend explains the columns.
const legend = `
- **Passed socket**: how it takes a listening socket. ` + "`activation`" + ` is ` + "`!TcpPort {activation: systemd}`" + `, ` + "`tcp-ports`" + ` is that with a flag or a
  variable of its own, "own" is none: it fails with ` + "`activation: systemd`" + `, as the port is taken. Then the backlog that it sets, where 128 was
  given, and the options that stay with the socket and were not there before: the next program on it finds them.
- **Readiness**: ` + "`notify`" + ` is ` + "`READY=1`" + ` to the socket of ` + "`ready: {notify}`" + `. Else take another [check](checks.md).
- **Stop**: how it ends after TERM from lithos, in seconds, while one client is idle, one has sent half a request and another is in the
  middle of a request, which is answered or cut. "killed" is by its ` + "`kill-timeout`" + `. Other signals were sent to the program itself.
- **Writes**: volumes of its config with something in them while it serves; in bold those without which it does not serve.
- **Runs as**: its user ids, and whether it serves in a user namespace and with ` + "`seccomp: default`" + `.
- **Limits**: what it takes for its memory and its processors, with ` + "`memory-limit: 512Mi`" + ` and ` + "`cpu-quota: 0.5`" + `.
`

// Page is docs/programs.md.
func Page(rows []*Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, intro, len(rows))
	b.WriteString("| program, version | passed socket | readiness | stop | logs | writes | runs as | limits | set | surprise |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		s := &r.Seen
		cells := []string{
			r.title(), r.socket(), dash(map[string]string{"READY=1": "`notify`", "nothing": "no"}[s.Notify]),
			r.stop(), dash(strings.Join(s.Logs, ", ")), r.writes(), r.runsAs(), limits(s), dash(r.Set), dash(r.Surprise),
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	b.WriteString(legend)
	b.WriteString(paths(rows))
	return b.String()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (r *Row) title() string {
	mark := ""
	if r.CI {
		mark = "°"
	}
	version := r.Seen.Version
	for _, part := range []string{"@", "==", ":", " "} {
		if i := strings.LastIndex(version, part); i >= 0 && part != ":" {
			version = version[i+len(part):]
			break
		}
	}
	return fmt.Sprintf("[%s](../examples/programs/%s.yaml)%s %s", r.Program, r.Name, mark, version)
}

func (r *Row) socket() string {
	s := r.Seen.Socket
	switch s.How {
	case "":
		return "-"
	case "not taken":
		return "own"
	}
	text := "`" + s.How + "`"
	if s.Backlog != "kept" {
		text += ", backlog " + s.Backlog
	}
	if len(s.Left) > 0 {
		text += ", leaves " + strings.Join(s.Left, ", ")
	}
	return text
}

func (r *Row) stop() string {
	var all []string
	for signal := range r.Seen.Stop {
		all = append(all, signal)
	}
	slices.SortFunc(all, func(a, b string) int {
		if (a == "TERM") != (b == "TERM") {
			return map[bool]int{true: -1, false: 1}[a == "TERM"]
		}
		return strings.Compare(a, b)
	})
	for i, signal := range all {
		e := r.Seen.Stop[signal]
		text := signal + ": " + e.Ends
		if e.Ends != "runs on" {
			text += fmt.Sprintf(", %d s", e.Seconds)
		}
		if e.Request != "" {
			text += ", " + e.Request
		}
		all[i] = text
	}
	return dash(strings.Join(all, "; "))
}

func (r *Row) writes() string {
	all := slices.Clone(r.Seen.Needs)
	for _, w := range r.Seen.Writes {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	slices.Sort(all)
	for i, v := range all {
		if slices.Contains(r.Seen.Needs, v) {
			all[i] = "**" + v + "**"
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

func (r *Row) runsAs() string {
	s := &r.Seen
	if s.User == "" {
		return "-"
	}
	text := s.User
	if s.UserNS == "no" {
		text += ", no user namespace"
	}
	if s.Seccomp == "no" {
		text += ", no seccomp"
	}
	return text
}

func limits(s *Seen) string {
	if s.Memory == "" && s.CPUs == "" {
		return "-"
	}
	return fmt.Sprintf("heap: %s; processors: %s", dash(s.Memory), dash(s.CPUs))
}

// walks are the rows whose whole config stands on the page, and why.
var walks = []struct{ row, title, text string }{
	{"postgresql", "PostgreSQL with a volume", "The sandbox has `writable-paths: {/data: /var/lib/lithos/data}`, a directory of the host that user 33 may enter; the database is\n" +
		"made at the first start and outlives the container."},
	{"nginx", "nginx with a passed socket", "The socket stays open over restarts, and several instances share it. Port 80 needs no root."},
	{"jetty", "A JVM and its limit", "A JVM does not see `memory-limit` by itself where no cgroup is mounted in the container: say it."},
}

// paths is the part of the page with whole configs.
func paths(rows []*Row) string {
	var b strings.Builder
	for _, w := range walks {
		i := slices.IndexFunc(rows, func(r *Row) bool { return r.Name == w.row })
		if i < 0 {
			continue
		}
		r := rows[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", w.title, w.text)
		if len(r.Debian) > 0 {
			fmt.Fprintf(&b, "Debian's packages: %s.\n\n", strings.Join(r.Debian, ", "))
		}
		for _, path := range sortedKeys(r.Files) {
			fmt.Fprintf(&b, "`%s` in the image:\n\n%s\n", path, indent(r.Files[path]))
		}
		fmt.Fprintf(&b, "The container config:\n\n%s\nThe process config:\n\n%s", indent(r.Container), indent(r.process()))
	}
	return b.String()
}

// process is a process config for the row.
func (r *Row) process() string {
	text := r.Name + ":\n  image: debian\n  config: /config/" + r.Name + ".yaml\n"
	if strings.Contains(r.Container, "!TcpPort") {
		text += fmt.Sprintf("  variables: {port: %d}\n", r.Port)
	}
	return text
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
