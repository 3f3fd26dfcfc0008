package knot

import (
	"slices"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/forkexec"
)

// spaces are the program's namespaces that the supervisor has made, as
// descriptors; -1 = none. PID 1 itself stays outside of them.
type spaces struct{ user, network int }

// takeSpaces finds them behind the cgroups' descriptors and moves them out of
// the way of those that the program gets.
func takeSpaces(spec *wire.Spec) (spaces, error) {
	above, next := aboveTargets(spec), spacesAt(spec)
	take := func(given bool) (int, error) {
		if !given {
			return -1, nil
		}
		fd, err := unix.FcntlInt(uintptr(next), unix.F_DUPFD_CLOEXEC, above)
		unix.Close(next)
		next++
		return fd, err
	}
	var s spaces
	var err error
	if s.user, err = take(spec.UserNS); err == nil {
		s.network, err = take(spec.NetNS)
	}
	if hasAddress(spec) {
		closeAsking(next)
	}
	return s, wrap(err, "cannot keep the program's namespaces")
}

// aboveTargets is the first descriptor that the program has no use for.
func aboveTargets(spec *wire.Spec) int {
	above := 3
	for _, target := range spec.Sockets {
		above = max(above, target+1)
	}
	return above
}

// spacesAt is the descriptor of the first of them.
func spacesAt(spec *wire.Spec) int { return wire.FDSockets + len(spec.Sockets) + spec.CgroupFDs }

// enter adds the steps into them. The rights over the network namespace are
// the host's too, so it comes first.
func (s spaces) enter(p *forkexec.Plan) {
	if s.network >= 0 {
		p.Raw("enter its network namespace", unix.SYS_SETNS, uintptr(s.network), unix.CLONE_NEWNET)
		p.Close(s.network)
	}
	if s.user >= 0 {
		p.Raw("enter its user namespace", unix.SYS_SETNS, uintptr(s.user), unix.CLONE_NEWUSER)
		p.Close(s.user)
	}
}

// open are the descriptors in ascending order.
func (s spaces) open() []int {
	var fds []int
	for _, fd := range []int{s.user, s.network} {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	return fds
}
