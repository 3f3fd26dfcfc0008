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
	"lithos/actors/services/status"
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

// A container that is about to be adopted is shown as what runs, not as what is
// wanted, and never as one that is still to be started.
//
// Covers: K12, O3
func TestAdoptedContainerIsShownAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.env.Board = status.New()
		wanted := instance("2")
		wanted.Container.ConfigFile = "/config/new.yaml"
		m := &AdoptInstance{Instance: wanted, Env: s.env, Adopted: &Adopted{
			Name: "web/app.0", Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Started: time.Now()},
			Fingerprint: "1", Image: "1", Config: "/config/old.yaml", Created: time.Now(),
		}}
		look := func(when string) {
			t.Helper()
			in, _ := s.env.Board.Instance("web/app.0")
			if in == nil || in.State != status.Running || in.PID != 7 || in.Current.Container.ConfigFile != "/config/old.yaml" ||
				in.Current.Container.Image != "1" || in.Wanted.Container.ConfigFile != "/config/new.yaml" {
				t.Errorf("%s, shown is %+v", when, in)
			}
		}
		m.Show()
		look("before")
		s.tell(m)
		look("adopted")
	})
}

// The config's file is in the record for the next daemon.
func TestConfigFileIsInTheRecord(t *testing.T) {
	in := instance("1")
	in.Container.ConfigFile = "/config/app.yaml"
	r, err := BuildRequest(in, &Env{}, nil, 0)
	if err != nil || r.RecordHead.Config != "/config/app.yaml" {
		t.Errorf("%+v, %v", r, err)
	}
}
