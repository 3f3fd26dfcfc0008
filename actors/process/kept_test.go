package process

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/services/deaths"
	"lithos/actors/spawner"
	"lithos/spawn"
	"lithos/spawn/records"
)

// A daemon may be killed at any moment. A death that neither a note in the record
// nor the next container's record stands for yet is told by the next daemon; so
// it must be kept before one of these is there.
func TestADeathIsKeptBeforeAnythingStandsForIt(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"it waits": time.Second, "the next start follows": 0} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				store, err := deaths.New(deaths.Dir(dir), s.env.Log)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				s.env.Deaths = store
				var mu sync.Mutex
				died, early, noted := 0, 0, 0
				look := func() {
					mu.Lock()
					defer mu.Unlock()
					list, err := deaths.Read(deaths.Dir(dir), "web/app.0")
					if err != nil || len(list) != min(died, deaths.Keep) || died > 0 && list[0].PID != died {
						early++
					}
				}
				s.env.Kernel.NoteEnd = func(string, records.Tally) error {
					look()
					noted++
					return nil
				}
				starts := make(chan uint32, 1)
				s.env.Spawner = s.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
					if m, ok := ctx.Message().(*spawner.StartContainer); ok {
						look()
						starts <- m.Gen
					}
				}))
				inst := instance("1")
				inst.Container.RestartTimeout = timeout
				s.tell(&RunInstance{Instance: inst, Env: s.env})
				const rounds = 30
				for pid := 1; pid <= rounds; pid++ {
					gen := <-starts
					s.tell(&spawner.ContainerForked{Gen: gen, Child: &spawn.Child{PID: pid, Started: time.Now()}})
					mu.Lock()
					died = pid
					mu.Unlock()
					s.system.Root.Send(s.process, &ProcessExited{Gen: gen, Exit: actors.Exit{PID: pid, Status: 1 << 8, At: time.Now()}})
				}
				<-starts
				if early > 0 {
					t.Errorf("%d of %d deaths were not kept yet", early, rounds)
				}
				if timeout > 0 && noted != rounds {
					t.Errorf("%d of %d were noted", noted, rounds)
				}
			})
		})
	}
}
