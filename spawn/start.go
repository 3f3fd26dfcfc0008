package spawn

import (
	"errors"
	"fmt"
	"slices"
)

// Start makes the container's cgroup with its limits, the memfd and the record,
// and forks PID 1. An error says why nothing runs (whose it is the caller knows);
// what was made on the way is
// left for [Spawner.Remove] or the next start.
//
// Preconditions: the calling thread is in the host's namespaces and has its
// root's credentials; the one who waits for children expects Child.PID.
func (s *Spawner) Start(r *Request) (*Child, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	if r.Standby != nil {
		if child := s.promote(r); child != nil {
			return child, nil
		}
	}
	l := s.newLaunch(r)
	defer l.close()
	l.again = s.networks.hadLately(r)
	child, err := l.run()
	if err != nil {
		return nil, fmt.Errorf("%w%s", errors.Join(err, l.isolation.disconnect()), shortage(err))
	}
	s.networks.keep(r.Spec.Name, l.isolation)
	s.mounts.hold(r.Spec, child)
	return child, nil
}

// check finds requests that no container can be made from.
func check(r *Request) error {
	switch {
	case r.Spec == nil:
		return errors.New("no spec")
	case len(r.Sockets) != len(r.Spec.Sockets):
		return fmt.Errorf("%d sockets for %d descriptors of the program", len(r.Sockets), len(r.Spec.Sockets))
	case len(r.Argv) == 0:
		return errors.New("no command line")
	case r.Network == nil && slices.Contains(r.Sockets, nil):
		return errors.New("a socket is missing")
	}
	return nil
}
