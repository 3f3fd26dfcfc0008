package knot

import (
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/mount"
)

// internal is the answer to a user who runs the program by hand.
const internal = "lithos_knot is internal: lithos_tree and lithos_cmd start it as the first process of a container.\n" +
	"It can't be run by hand; for a program in a container use lithos_cmd, see lithos_knot --help.\n"

// programUmask is what files of the program are made without.
const programUmask = 0o022

// Main is the life of PID 1. It returns the exit code, one of wire.Exit….
//
// Preconditions: the descriptors and the signal mask are as package wire says.
func Main() int {
	// First of all: an earlier signal has no handler.
	sig := catchSignals()
	spec, err := readSpec()
	if err == errNoSpec {
		_ = writeAll(2, []byte(internal))
		return wire.ExitSetup
	}
	if err != nil {
		return fail(err)
	}
	saveMemory()
	if spec.Terminal {
		sig.hangUp() // the reader is gone
	}
	k := &knot{spec: spec, sig: sig, log: -1, now: time.Now, normal: normalCodes(spec)}
	if err := k.clearAway(); err != nil {
		return fail(wrap(err, spec.Name))
	}
	if err := k.prepare(); err != nil {
		return fail(wrap(err, spec.Name))
	}
	if spec.Standby && !bareState.awaited && !standBy(standbyFD(spec)) {
		return wire.ExitNormal
	}
	code, err := k.supervise()
	if err != nil {
		return fail(wrap(err, spec.Name))
	}
	return code
}

// knot is PID 1 of one container.
type knot struct {
	spec *wire.Spec
	sig  *signals
	log  int // StdioLog, -1 if there is none
	now  func() time.Time

	normal exitCodes
	// announced says that the log has the line about the next start already.
	announced bool

	start   *start // inputs of each start of the program
	record0 int64  // length of the record to cut it to, 0 = not known yet
}

// clearAway takes off the mounts that a bare PID 1 has begun with. They are in
// this namespace, whose mounts are private by then.
func (k *knot) clearAway() error {
	if bareState.pivoted {
		// The host is gone, and paths of it would be the image's.
		return wrap(unix.Errno(bareState.errno), "cannot leave the host's root")
	}
	for bareState.attached && mount.Detach(k.spec.MountDir) == nil {
	}
	return nil
}

// prepare makes the container, if a bare PID 1 has not.
func (k *knot) prepare() error {
	spaces, err := takeSpaces(k.spec)
	if err != nil {
		return err
	}
	if bareState.built {
		k.log, k.announced = bareState.log, true
	} else {
		x := &executor{k: k, spaces: spaces}
		r := recipe{operations: x, spec: k.spec, userns: spaces.user}
		if err := r.container(); err != nil {
			return err
		}
		x.closeFrom(0)
	}
	k.start, err = newStart(k.spec, k.log, spaces, false)
	return err
}

// fail records why there is no container.
func fail(err error) int {
	appendRecord(wire.AppendFailed(nil, err.Error()))
	return wire.ExitSetup
}

// appendRecord writes one event. There is nobody to tell if it fails.
func appendRecord(line []byte) { _ = writeAll(wire.FDRecord, line) }

// errNoSpec means that descriptor 3 is not from a supervisor.
var errNoSpec = wire.Error("there is no spec")

// readSpec reads the sealed memfd: sealed, so that what is read is what was
// written, and a memfd, so that it can't be something that lay around.
func readSpec() (*wire.Spec, error) {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	got, err := unix.FcntlInt(wire.FDSpec, unix.F_GET_SEALS, 0)
	if err != nil || got&seals != seals {
		return nil, errNoSpec
	}
	var st unix.Stat_t
	if err := unix.Fstat(wire.FDSpec, &st); err != nil || st.Size > wire.MaxSpec {
		return nil, errNoSpec
	}
	data := make([]byte, st.Size)
	for n := 0; n < len(data); {
		k, err := unix.Pread(wire.FDSpec, data[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return nil, errNoSpec
		}
		n += k
	}
	unix.Close(wire.FDSpec)
	return wire.Decode(data)
}
