package simulation

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/actors/services/status"
	"lithos/spawn"
)

// behaveStandby is what the n-th standby of a name does.
func (w *world) behaveStandby(name string, n int) fakekernel.StandbyBehaviour {
	r := w.chance(name, n, 5)
	b := fakekernel.StandbyBehaviour{Outdated: r.IntN(8) == 0}
	switch r.IntN(5) {
	case 0:
		b.PrepareTime = upTo(r, 200*time.Millisecond)
	case 1:
		b.BuildTime = upTo(r, 2*time.Second)
	}
	switch r.IntN(10) {
	case 0:
		b.PrepareError = errors.New("cannot fork")
	case 1:
		b.Lifetime = upTo(r, 2*time.Minute)
	}
	return b
}

// standbys stands between the actors and what waits.
func (w *world) standbys(d *daemon, k *actors.Kernel) {
	inner := *k
	k.Prepare = func(r *spawn.Request) error {
		if d.left() {
			return errors.New("the daemon is dead")
		}
		return inner.Prepare(r)
	}
	k.InspectStandby = func(h *spawn.Standby) error {
		if d.left() {
			return nil
		}
		return inner.InspectStandby(h)
	}
	k.Discard = func(h *spawn.Standby) {
		if m := w.s.mutation; d.left() || m != nil && m.discard != nil && m.discard(w.s) {
			return
		}
		inner.Discard(h)
	}
}

// checkStandbys: what waits is there for somebody, and no program runs in it. It
// gives their names.
func (s *sim) checkStandbys(shown map[string]*status.Instance) map[string]bool {
	waits := make(map[string]bool)
	for _, p := range s.kernel.Standbys() {
		in := shown[p.Name]
		switch {
		case waits[p.Name]:
			s.broken("two standbys of %s", p.Name)
		case in == nil:
			s.broken("a standby of %s waits, which is not there", p.Name)
		case s.daemon.busy.Load() > 0 || s.world.removing[p.Name] > 0:
		case in.State != status.Running && in.State != status.Restarting && !(in.State == status.Waiting && s.world.cleaning()):
			s.broken("a standby of %s waits, which is %s", p.Name, in.State)
		case in.Standby == "":
			s.broken("a standby of %s waits, and none is shown", p.Name)
		case in.Wanted == nil || p.Request.RecordHead.Fingerprint != in.Wanted.Fingerprint:
			s.broken("the standby of %s is of another version", p.Name)
		case in.Standby == "building" && time.Since(p.Started) > 5*time.Second:
			s.broken("the standby of %s waits since %s, and it is not known", p.Name, time.Since(p.Started))
		}
		waits[p.Name] = true
	}
	if s.daemon.busy.Load() > 0 {
		return waits
	}
	for name, in := range shown {
		if in.Standby == "waiting" && !waits[name] {
			s.broken("a standby of %s is shown, and there is none", name)
		}
	}
	return waits
}

// TestStandbysAreTaken: the simulation is of no use for them otherwise.
func TestStandbysAreTaken(t *testing.T) {
	taken := int64(0)
	for seed := uint64(1); seed <= 20 && taken < 10; seed++ {
		s := &sim{seed: seed}
		synctest.Test(t, func(*testing.T) {
			s.run(150)
			s.abandon()
		})
		if failure := s.failure.Load(); failure != nil {
			t.Fatal(*failure)
		}
		taken += s.world.promoted
	}
	if taken < 10 {
		t.Errorf("%d starts had a standby", taken)
	}
}
