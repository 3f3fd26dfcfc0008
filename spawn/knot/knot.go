package knot

import (
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/mount"
)

// internal is what somebody reads who runs the program by hand.
const internal = "lithos_knot is internal: lithos_tree and lithos_cmd start it as the first process of a container.\n" +
	"It can't be run by hand; for a program in a container use lithos_cmd, see lithos_knot --help.\n"

// programUmask is what files of the program are made without.
const programUmask = 0o022

// Main is the life of PID 1. It returns the exit code, one of wire.Exit….
//
// Preconditions: the descriptors and the signal mask are as package wire says.
func Main() int {
	// First of all: what comes before has no handler.
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
	unix.Umask(programUmask)
	// Nothing of this process is for the program to see or to trace.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fail(wrap(err, spec.Name+": cannot make PID 1 undumpable"))
	}
	if err := unix.CloseRange(wire.FDRecord, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fail(wrap(err, spec.Name+": cannot keep descriptors from the program"))
	}
	if spec.Terminal {
		sig.hangUp() // whoever held the other end of it is gone
	}
	k := &knot{spec: spec, sig: sig, log: -1, now: time.Now}
	if err := k.clearAway(); err != nil {
		return fail(wrap(err, spec.Name))
	}
	if err := k.prepare(); err != nil {
		return fail(wrap(err, spec.Name))
	}
	if spec.Standby && !quickState.awaited && !standBy(standbyFD(spec)) {
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

	// announced says that the log has the line about the next start already.
	announced bool

	start   *start // what each start of the program needs
	record0 int64  // length of the record to cut it to, 0 = not known yet
}

// clearAway has what the quick path has begun begun anew. That was in this
// namespace, whose mounts are private by then.
func (k *knot) clearAway() error {
	if quickState.pivoted {
		// The host is gone, and paths of it would be the image's.
		return wrap(unix.Errno(quickState.errno), "cannot leave the host's root")
	}
	for quickState.attached && mount.Detach(k.spec.MountDir) == nil {
	}
	return nil
}

// prepare builds the container, if the quick path has not.
func (k *knot) prepare() error {
	if quickState.built {
		k.log, k.announced = quickState.log, true
		spaces, err := takeSpaces(k.spec)
		if err == nil {
			k.start, err = newStart(k.spec, k.log, spaces, false)
		}
		return err
	}
	if k.spec.StdioLog != "" {
		fd, err := openLog(k.spec.StdioLog)
		if err != nil {
			return wrap(err, "cannot open the file for stdout and stderr "+k.spec.StdioLog)
		}
		k.log = fd
	}
	spaces, err := takeSpaces(k.spec)
	if err != nil {
		return err
	}
	// While the host's files are there: a command of the host may need them.
	if err := k.joinNetwork(spaces); err != nil {
		return err
	}
	if err := build(k.spec, spaces); err != nil {
		return err
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

// errNoSpec is that descriptor 3 isn't what a supervisor gives.
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
