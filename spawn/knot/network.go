package knot

import (
	"errors"
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

// hasAddress tells whether it is bridged, with an address.
func hasAddress(spec *wire.Spec) bool { return spec.NetNS && spec.Network.Address != "" }

// closeAsking closes the socket that is for a bare PID 1, on a thread of its own: the
// kernel takes its time. A supervisor of before there was one has not made it.
func closeAsking(fd int) {
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_PACKET {
		go unix.Close(fd)
	}
}

// claim takes the container's address on its bridge (requirements L2, L4), on a
// thread that is in the network namespace.
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

// afterSetup runs after-setup-command as root in the container's network; all
// else is the host's, except the pid namespace, with which it ends in any case.
// Its output goes to the programs' log.
func (k *knot) afterSetup(command []string, network int) error {
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
	return " (its output is in " + spec.StdioLog + ")"
}
