package process

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/deaths"
	"lithos/actors/spawner"
	"lithos/spawn"
	"lithos/spawn/records"
)

// The last words of what died while no daemon was there are kept as well.
//
// Covers: K12
func TestAdoptedOutputBeginsWithItsStart(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "web.log")
	const before = "of another container\n"
	write := func(text string) {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(before)
	synctest.Test(t, func(t *testing.T) {
		store, err := deaths.New(deaths.Dir(dir), zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s := newStage(t)
		s.env.Deaths, s.env.StdioLog = store, log
		s.tell(&RunInstance{Instance: instance("1"), Env: s.env})
		var head records.Created
		for _, m := range s.take() {
			if start, ok := m.(*spawner.StartContainer); ok {
				head = start.Request.RecordHead
			}
		}

		write(before + "out of luck\n")
		s = newStage(t)
		s.env.Deaths, s.env.StdioLog = store, log
		s.tell(&AdoptInstance{Instance: instance("1"), Env: s.env, Adopted: &Adopted{
			Name: "web/app.0", Child: &spawn.Child{PID: 7, Started: time.Now()}, Fingerprint: "1", Created: time.Now(), LogFrom: head.LogFrom, Dead: true,
		}})
		s.tell(&ProcessExited{Gen: AdoptedGen, Exit: actors.Exit{PID: 7, Unknown: true}})
		list, err := store.Read("web/app.0")
		if err != nil || len(list) != 1 || !slices.Equal(list[0].Output, []string{"out of luck"}) {
			t.Errorf("kept is %+v, %v", list, err)
		}
	})
}
