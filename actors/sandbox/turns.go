package sandbox

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors/process"
)

// The option max-unavailable limits how many instances of a process are replaced
// at a time. The next replacement starts when one of them serves, as its actor
// reports ([process.InstanceServes]). An instance that does not come up keeps its
// slot, and the queued ones keep running until the config changes again.

// turns are those of one process; nil where all may be replaced at a time.
type turns struct {
	most int // at a time; 0 = all
	// taken are the instances that were replaced and do not serve yet.
	taken map[string]bool
	queue []string // queued instances, in order
}

// limit notes how many instances of a process may be replaced at a time.
func (s *Sandbox) limit(process string, most int) {
	if most == 0 {
		return
	}
	t := s.turns[process]
	if t == nil {
		t = &turns{taken: make(map[string]bool)}
		s.turns[process] = t
	}
	t.most = most
}

// take tells whether an instance may be replaced now; if not, it waits.
func (t *turns) take(name string) bool {
	if t == nil {
		return true
	}
	if t.most == 0 || t.taken[name] || len(t.taken) < t.most {
		t.taken[name] = true
		t.forget(name)
		return true
	}
	if !slices.Contains(t.queue, name) {
		t.queue = append(t.queue, name)
	}
	return false
}

// has tells whether an instance has a slot: it is being replaced and does not
// serve yet.
func (t *turns) has(name string) bool { return t != nil && t.taken[name] }

// release frees the slot of an instance that needs no replacement any more.
func (t *turns) release(name string) {
	if t != nil {
		delete(t.taken, name)
		t.forget(name)
	}
}

// forget removes an instance from the queue.
func (t *turns) forget(name string) {
	if t != nil {
		t.queue = slices.DeleteFunc(t.queue, func(n string) bool { return n == name })
	}
}

// goOn starts the next replacements.
func (s *Sandbox) goOn(ctx actor.Context, t *turns) {
	for t != nil && len(t.queue) > 0 {
		name := t.queue[0]
		if !t.take(name) {
			return
		}
		s.replace(ctx, s.instances[name])
	}
}

// instanceServes frees the slot of an instance that serves, if it has the wanted
// version.
func (s *Sandbox) instanceServes(ctx actor.Context, m *process.InstanceServes) {
	inst := s.instances[m.Name]
	if inst == nil || inst.version != m.Fingerprint {
		return
	}
	if t := s.turns[inst.process]; t != nil {
		delete(t.taken, m.Name)
		s.goOn(ctx, t)
	}
}

// releaseTurn frees the slot of an instance, and starts the next replacement.
func (s *Sandbox) releaseTurn(ctx actor.Context, name, process string) {
	t := s.turns[process]
	t.release(name)
	s.goOn(ctx, t)
}
