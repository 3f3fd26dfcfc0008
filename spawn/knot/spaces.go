package knot

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/forkexec"
	"lithos/sysx/neigh"
	"lithos/sysx/thread"
)

const (
	// setupPatience is what after-setup-command gets.
	setupPatience = time.Minute
	// setupPath is all of its environment.
	setupPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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

// hasAddress tells whether it is bridged, with an address.
func hasAddress(spec *wire.Spec) bool { return spec.NetNS && spec.Network.Address != "" }

// closeAsking closes the socket for the quick path, on a thread of its own: the
// kernel takes its time. A supervisor of before there was one has not made it.
func closeAsking(fd int) {
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_PACKET {
		go unix.Close(fd)
	}
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

// joinNetwork claims the container's address on its bridge and runs
// after-setup-command (requirements L2, L4, L5).
func (k *knot) joinNetwork(s spaces) error {
	n := &k.spec.Network
	if s.network < 0 || n.Address == "" {
		return nil
	}
	if err := claim(s.network, n); err != nil {
		return wrap(err, "cannot use the address "+addressText(n.Address))
	}
	if len(n.AfterSetup) == 0 {
		return nil
	}
	return wrap(k.afterSetup(s.network), "after-setup-command "+n.AfterSetup[0])
}

// claim does it on a thread that is in the network namespace.
func claim(network int, n *wire.Network) error {
	claimed := make(chan error, 1)
	go thread.Spend(func() {
		err := unix.Setns(network, unix.CLONE_NEWNET)
		done := func() {}
		if err == nil {
			done, err = linkOf(n).Claim([]byte(n.Address), wire.ClaimPatience)
		}
		claimed <- err
		done()
	})
	return <-claimed
}

// linkOf is the container's end.
func linkOf(n *wire.Network) neigh.Link {
	link := neigh.Link{Index: n.Index}
	copy(link.MAC[:], n.MAC)
	return link
}

// addressText is an address for people; IPv6 without its short forms.
func addressText(a string) string {
	const hex = "0123456789abcdef"
	var b []byte
	for i := range len(a) {
		if len(a) == 4 {
			if i > 0 {
				b = append(b, '.')
			}
			b = strconv.AppendUint(b, uint64(a[i]), 10)
			continue
		}
		if i > 0 && i%2 == 0 {
			b = append(b, ':')
		}
		b = append(b, hex[a[i]>>4], hex[a[i]&15])
	}
	return string(b)
}

// afterSetup runs the command as root in the container's network; all else is
// the host's, but for the pid namespace, with which it ends in any case. What
// it writes is among the output of the programs.
func (k *knot) afterSetup(network int) error {
	command := k.spec.Network.AfterSetup
	fds := inherited()
	if k.log >= 0 {
		fds[1], fds[2] = k.log, k.log
	}
	steps := new(forkexec.Plan).DefaultSignals().Sigmask(0).Setsid()
	spaces{-1, network}.enter(steps)
	pid, _, err := forkexec.Start(&forkexec.Attr{
		Path: command[0], Argv: command, Env: []string{setupPath}, Steps: steps, FDs: fds[:],
	})
	if err != nil {
		return err
	}
	r := &run{pid: pid}
	if err := k.await(r, time.After(setupPatience)); err != nil {
		return err
	}
	switch {
	case r.status.Signaled():
		return errors.New("was ended by " + unix.SignalName(r.status.Signal()) + outputAt(k.spec))
	case r.status.ExitStatus() != 0:
		return errors.New("exited with code " + strconv.Itoa(r.status.ExitStatus()) + outputAt(k.spec))
	}
	return nil
}

// await waits for a command of the set-up, and kills it if it takes too long or
// the container is to stop.
func (k *knot) await(r *run, timeout <-chan time.Time) (err error) {
	for !k.reap(r) {
		select {
		case <-k.sig.child:
			continue
		case <-timeout:
			err = errors.New("did not end within " + setupPatience.String())
		case <-k.sig.term:
			err = errors.New("was ended, for the container is to stop")
		case <-k.sig.intr:
			err = errors.New("was ended, for the container is to stop")
		}
		// With its group: it may wait for another.
		_ = unix.Kill(-r.pid, unix.SIGKILL)
		for !k.reap(r) {
			<-k.sig.child
		}
		return err
	}
	return nil
}

func outputAt(spec *wire.Spec) string {
	if spec.StdioLog == "" {
		return ""
	}
	return " (what it wrote is in " + spec.StdioLog + ")"
}
