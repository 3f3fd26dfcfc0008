package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// made is what was made of an image's own config.
type made struct {
	text     string
	id       identity
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
	w.comment("Made by lithos_import from what the image says of itself.")
	w.line("kind: Daemon")
	m.writeUser(&w, root, c.User)
	m.writeProgram(&w, root, img)
	m.writeEnviron(&w, c.Env)
	if m.workdir != "/" {
		w.pair("", "workdir", m.workdir)
		m.mounts = append(m.mounts, m.workdir)
	}
	m.writeVolumes(&w, root, img)
	m.writePorts(&w, slices.Sorted(maps.Keys(c.ExposedPorts)))
	w.line("# memory-limit: 256Mi")
	if c.StopSignal != "" && c.StopSignal != "SIGTERM" && c.StopSignal != "TERM" && c.StopSignal != "15" {
		w.comment("The image wants to be stopped by " + printable(c.StopSignal) + "; lithos sends TERM.")
		m.warn("the image wants to be stopped by %s, lithos sends TERM", printable(c.StopSignal))
	}
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
		m.id.root = true
	}
	if m.id.root {
		w.comment("The image runs as root. Here default-user and default-group of the", "sandbox count; for root, where the sandbox allows it:")
		w.line("# user-id: 0")
		w.line("# group-id: 0")
		return
	}
	w.line(fmt.Sprintf("user-id: %d", m.id.uid))
	if m.id.gid != 0 {
		w.line(fmt.Sprintf("group-id: %d", m.id.gid))
	}
}

// writeProgram writes executable and arguments: entrypoint, then command.
func (m *made) writeProgram(w *yamlWriter, root int, img *image) {
	c := &img.config.Config
	command := append(slices.Clone(c.Entrypoint), c.Cmd...)
	if len(command) == 0 {
		w.comment("The image names no program.")
		w.line("# executable: /bin/…")
		m.warn("the image names no program: the container config needs executable")
		return
	}
	program, err := lookUp(root, command[0], m.workdir, c.Env)
	if err != nil {
		m.warn("the image's program was not found: %v", err)
		if program == "" {
			w.comment("The image's program was not found: " + printable(command[0]))
			w.line("# executable: /bin/…")
		}
	}
	if program != "" {
		w.pair("", "executable", program)
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

// braces warns of what lithos would take for a variable: there is no escape.
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
	if len(values) == 0 {
		return
	}
	w.line("environ:")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		m.braces("the variable "+printable(name), values[name])
		w.pair("  ", name, values[name])
	}
}

// volumesDir is the virtual directory that the volumes of an image lie in: one
// line of a sandbox config gives them all a place, and below it they can be made
// with the program's user as the owner.
const volumesDir = "/volumes"

// writeVolumes: the root is read-only, so what is written needs a place.
func (m *made) writeVolumes(w *yamlWriter, root int, img *image) {
	seen := map[string]bool{}
	for v := range img.config.Config.Volumes {
		if v = path.Clean("/" + v); v != "/" && !seen[v] {
			seen[v] = true
			m.volumes = append(m.volumes, v)
		}
	}
	slices.Sort(m.volumes)
	m.mounts = append(m.mounts, m.volumes...)
	tmp := !seen["/tmp"] && isDirectory(root, "/tmp")
	w.comment("The root file system is read-only: what the program writes needs a volume.")
	if len(m.volumes) == 0 && !tmp {
		w.line("# volumes:")
		w.line("#   /run: !Tmpfs {size: 10Mi, mode: 0o1777}")
		return
	}
	w.line("volumes:")
	if tmp {
		w.line("  /tmp: !Tmpfs {size: 100Mi, mode: 0o1777}")
	}
	w.line("  # /run: !Tmpfs {size: 10Mi, mode: 0o1777}")
	for _, v := range m.volumes {
		owner := ""
		if !m.id.root {
			owner = fmt.Sprintf(", user: %d, group: %d", m.id.uid, m.id.gid)
		}
		w.line(fmt.Sprintf("  %s: !Persistent {path: %s, mkdir: true, mode: 0o700%s}", scalar(v), scalar(volumesDir+v), owner))
	}
}

func isDirectory(root int, name string) bool {
	fd, err := inroot.Open(root, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// writePorts: a program opens its ports itself unless it can take them over.
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
