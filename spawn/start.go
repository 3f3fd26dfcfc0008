package spawn

import (
	"errors"
	"fmt"
)

// Start makes the container's cgroup with its limits, the memfd and the record,
// and forks PID 1. The error says why nothing runs; the caller knows the
// container's name. [Spawner.Remove] or the next start removes the remains of a
// failed start.
//
// Preconditions: the calling thread is in the host's namespaces and has its
// root's credentials; the owner of wait4 expects Child.PID.
func (s *Spawner) Start(r *Request) (*Child, error) {
	if err := r.check(); err != nil {
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
