package main

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// made is the container config that an image's own config becomes.
type made struct {
	text     string
	id       identity
	program  string
	volumes  []string // mount points of !Persistent, sorted
	workdir  string
	warnings []string
	mounts   []string // directories that the config needs in the image
}

// containerConfig writes the container config of an image that lies below root.
func containerConfig(root int, img *image) *made {
	m := &made{workdir: "/"}
	c := &img.config.Config
	if c.WorkingDir != "" {
		m.workdir = path.Clean("/" + c.WorkingDir)
	}
	var w yamlWriter
	w.comment("Made by lithos_import from the config of the image.")
	w.line("kind: Daemon")
	m.writeUser(&w, root, c.User)
	m.writeProgram(&w, root, img)
	m.writeEnviron(&w, c.Env)
	if m.workdir != "/" {
		w.pair("", "workdir", m.workdir)
		m.mounts = append(m.mounts, m.workdir)
	}
	m.writeHealthcheck(&w, root, img)
	m.writeVolumes(&w, root, img)
	m.writePorts(&w, slices.Sorted(maps.Keys(c.ExposedPorts)))
	w.line("# memory-limit: 256Mi")
	m.writeStopSignal(&w, c.StopSignal)
	w.line("metadata:")
	w.line("  image:")
	w.pair("    ", "digest", img.digest)
	if img.reference != "" {
		w.pair("    ", "reference", img.reference)
	}
	if img.config.Created != "" {
		w.pair("    ", "created", img.config.Created)
	}
	m.text = w.String()
	return m
}

func (m *made) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

func (m *made) writeUser(w *yamlWriter, root int, user string) {
	var err error
	if m.id, err = findIdentity(root, user); err != nil {
		m.warn("%v; the sandbox's default-user is taken", err)
		m.id = identity{root: true}
	}
	if m.id.root {
		w.comment("The image runs as root. Here the sandbox's default-user (and default-group)", "counts; for root, where the sandbox allows it:")
		w.line("# user-id: 0")
	} else {
		w.line(fmt.Sprintf("user-id: %d", m.id.uid))
	}
	if m.id.root && m.id.gid == 0 {
		w.line("# group-id: 0")
		return
	}
	w.line(fmt.Sprintf("group-id: %d", m.id.gid))
	if len(m.id.groups) > 0 && !m.id.root {
		groups := strings.Join(m.id.groups, ", ")
		w.comment("In the image the user is also in: " + groups)
		m.warn("the image's user is also in the group(s) %s, a program of lithos is in one group: have the files it needs be of group %d, or set another group-id", groups, m.id.gid)
	}
}

// writeProgram writes executable and arguments: entrypoint, then command.
func (m *made) writeProgram(w *yamlWriter, root int, img *image) {
	c := &img.config.Config
	command, init := withoutInit(append(slices.Clone(c.Entrypoint), c.Cmd...))
	if len(command) == 0 {
		w.comment("The image names no program.")
		w.line("# executable: /bin/…")
		m.warn("the image names no program: the container config needs executable")
		return
	}
	var err error
	if m.program, err = lookUp(root, command[0], m.workdir, c.Env); err != nil {
		m.warn("the image's program was not found: %v", err)
	}
	if init != "" {
		w.comment("The image starts it by " + init + ". PID 1 of lithos does what that is for.")
	}
	if m.program == "" {
		w.comment("The image's program was not found: " + printable(command[0]))
		w.line("# executable: /bin/…")
	} else {
		w.pair("", "executable", m.program)
		m.writePID1(w, root)
	}
	if len(command) == 1 {
		return
	}
	w.line("arguments:")
	for _, arg := range command[1:] {
		m.braces("an argument", arg)
		w.line("- " + scalar(arg))
	}
}

// writePID1 warns of a program that has to be process 1: lithos_knot is that.
func (m *made) writePID1(w *yamlWriter, root int) {
	system := wantsPID1(root, m.program)
	if system == "" {
		return
	}
	w.comment("This is " + system + ", which may have to be process 1. Here lithos_knot is that.")
	m.warn("the image's program %s is %s, which may have to be process 1 and is not: lithos_knot is; set executable to the program that it starts",
		printable(m.program), system)
}

// braces warns of text that lithos would take for a variable: there is no escape.
func (m *made) braces(what, text string) {
	if _, after, ok := strings.Cut(text, "@{"); ok && strings.Contains(after, "}") {
		m.warn("%s of the image has @{…} in it, which is a variable to lithos and has to be declared: %s", what, printable(text))
	}
}

func (m *made) writeEnviron(w *yamlWriter, env []string) {
	values := map[string]string{}
	for _, e := range env {
		if name, value, ok := strings.Cut(e, "="); ok && name != "" {
			values[name] = value
		}
	}
	if _, has := values["HOME"]; !has && m.id.home != "" && !m.id.root {
		values["HOME"] = m.id.home
	}
	if _, has := values["PATH"]; !has {
		values["PATH"] = defaultPath
	}
	w.line("environ:")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		m.braces("the variable "+printable(name), values[name])
		w.pair("  ", name, values[name])
	}
}

// writePorts names the ports in a comment: a program opens them itself unless it
// can take them over.
func (m *made) writePorts(w *yamlWriter, ports []string) {
	if len(ports) == 0 {
		return
	}
	for i := range ports {
		ports[i] = printable(ports[i])
	}
	w.comment("The image listens at "+strings.Join(ports, ", ")+". In the host's network the program opens",
		"that itself. One that takes sockets by LISTEN_FDS can be given it, so that",
		"several instances share the port (docs: Handing TCP ports):")
	w.line("# variables:")
	w.line("#   port: !TcpPort {activation: systemd}")
}

// writeStopSignal takes over another signal than TERM.
func (m *made) writeStopSignal(w *yamlWriter, signal string) {
	switch name := strings.TrimPrefix(strings.ToUpper(signal), "SIG"); {
	case name == "" || name == "TERM" || name == "15":
	case isSignal(name):
		w.pair("", "stop-signal", name)
	default:
		m.warn("the image wants to be stopped by %s, which is no signal: TERM is sent", printable(signal))
	}
}

// signals are the names and numbers that docker takes.
var signals = regexp.MustCompile(`^([1-9]|[1-5][0-9]|6[0-4]|CLD|IOT|POLL|RTMIN|RTMIN\+([0-9]|[12][0-9]|30)|RTMAX|RTMAX-([0-9]|1[0-4]))$`)

func isSignal(name string) bool { return signals.MatchString(name) || unix.SignalNum("SIG"+name) != 0 }
