package knot

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// Lines about the program's start and end in its own log (requirement P2), for
// readers who look there first.

// logLine writes one, in one piece. A full disk is no reason to end.
func (k *knot) logLine(line []byte) {
	if k.log >= 0 {
		_ = writeAll(k.log, line)
	}
}

// begin is `<RFC3339>: ----- `; at second precision, in UTC.
func begin(b []byte, at time.Time) []byte {
	b = wire.AppendTime(b, at, false)
	return append(b, ": ----- "...)
}

func startingLine(b []byte, at time.Time, spec *wire.Spec) []byte {
	return append(begin(b, at), startingText(spec)...)
}

func startingText(spec *wire.Spec) string {
	b := append([]byte(nil), "Starting "...)
	b = strconv.AppendQuote(b, spec.Name)
	b = append(b, ": "...)
	b = appendCommand(b, spec)
	return string(append(b, " -----\n"...))
}

// appendCommand is the executable with its arguments, quoted so that it is one
// line, and can't be taken for another.
func appendCommand(b []byte, spec *wire.Spec) []byte {
	b = strconv.AppendQuote(b, spec.Executable)
	if len(spec.Argv) > 1 {
		for _, arg := range spec.Argv[1:] {
			b = strconv.AppendQuote(append(b, ' '), arg)
		}
	}
	return b
}

func failedLine(b []byte, at time.Time, spec *wire.Spec, err error) []byte {
	b = appendProcess(begin(b, at), spec)
	b = append(b, "did not start: "...)
	b = append(b, err.Error()...)
	return append(b, " -----\n"...)
}

// The lines about a program that runs are made for both paths, without Go's
// runtime too, see bare.go: process is of appendProcess, killing of killingText.

func endedLine(b []byte, at time.Time, process []byte, r *run) []byte {
	b = append(begin(b, at), process...)
	b = appendStatus(b, r.status)
	b = appendUptime(b, at, r)
	return append(b, " -----\n"...)
}

func killingLine(b []byte, at time.Time, process, killing []byte, r *run) []byte {
	b = append(begin(b, at), process...)
	b = append(b, killing...)
	b = appendUptime(b, at, r)
	return append(b, ". Killing.. -----\n"...)
}

func killingText(spec *wire.Spec) string {
	sig := stopSignalOf(spec)
	name := unix.SignalName(sig)
	if name == "" {
		name = "signal " + strconv.Itoa(int(sig))
	}
	return "did not respond to " + name + " in " + spec.KillTimeout.String()
}

func appendProcess(b []byte, spec *wire.Spec) []byte {
	b = append(b, "Process "...)
	b = strconv.AppendQuote(b, spec.Name)
	return append(b, ' ')
}

func appendUptime(b []byte, at time.Time, r *run) []byte {
	b = append(b, ", uptime "...)
	b = strconv.AppendInt(b, int64(at.Sub(r.began)/time.Second), 10)
	return append(b, 's')
}

// appendStatus is "exited with code 1" or "killed by signal SIGKILL[9]", as in
// the original: people's log watchers look for it.
func appendStatus(b []byte, s syscall.WaitStatus) []byte {
	if s.Exited() {
		return strconv.AppendInt(append(b, "exited with code "...), int64(s.ExitStatus()), 10)
	}
	b = append(b, "killed by signal "...)
	b = append(b, unix.SignalName(s.Signal())...)
	b = strconv.AppendInt(append(b, '['), int64(s.Signal()), 10)
	b = append(b, ']')
	if s.CoreDump() {
		b = append(b, " (core dumped)"...)
	}
	return b
}
