package listener

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/sysx/sock"
)

// stage is a listener with the test as its kernel and its customers.
type stage struct {
	system   *actor.ActorSystem
	listener *actor.PID
	customer *actor.PID
	open     map[*os.File]actors.Socket
	made     int
	refuse   func(actors.Socket) error
	restored []string // address and whether others share it
	restore  func(actors.Socket) (sock.Restored, error)
	log      bytes.Buffer
	answers  []any
	left     bool
}

func newStage() *stage {
	s := &stage{system: actors.NewSystem(zerolog.Nop()), open: map[*os.File]actors.Socket{}}
	kernel := &actors.Kernel{
		Listen: func(want actors.Socket) (*os.File, error) {
			if s.refuse != nil {
				if err := s.refuse(want); err != nil {
					return nil, err
				}
			}
			file := new(os.File)
			s.made++
			s.open[file] = want
			return file, nil
		},
		Restore: func(file *os.File, as actors.Socket, shared bool) (sock.Restored, error) {
			if s.open[file] != as {
				return sock.Restored{}, errors.New("not that socket")
			}
			s.restored = append(s.restored, fmt.Sprintf("%s %t", as.Addr, shared))
			if s.restore == nil {
				return sock.Restored{}, nil
			}
			return s.restore(as)
		},
		Close: func(file *os.File) error {
			if _, ok := s.open[file]; !ok {
				return errors.New("closed twice")
			}
			delete(s.open, file)
			return nil
		},
	}
	s.customer = s.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *SocketsLeased, *LeaseFailed, *SocketsShown:
			s.answers = append(s.answers, m)
		}
	}))
	s.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			s.listener = ctx.Spawn(actors.ChildProps("listener", zerolog.Nop(), New(kernel, zerolog.New(&s.log))))
		case *ListenerLeft:
			s.left = true
		}
	}))
	synctest.Wait()
	return s
}

func (s *stage) tell(m any) {
	s.system.Root.Send(s.listener, m)
	synctest.Wait()
}

// lease asks for sockets and returns the answer.
func (s *stage) lease(owner string, sockets ...actors.Socket) any {
	s.tell(&LeaseSockets{Owner: owner, Gen: 7, Sockets: sockets, ReplyTo: s.customer})
	answer := s.answers[len(s.answers)-1]
	s.answers = nil
	return answer
}

func at(port uint16) actors.Socket {
	return actors.Socket{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
}

// Covers: G13
func TestSocketClosesWithItsLastLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		a := s.lease("a", at(80), at(443)).(*SocketsLeased)
		b := s.lease("b", at(443)).(*SocketsLeased)
		if a.Gen != 7 || len(a.Files) != 2 || len(b.Files) != 1 || a.Files[1] != b.Files[0] || s.made != 2 {
			t.Errorf("a has %v, b has %v, %d were made", a.Files, b.Files, s.made)
		}
		for _, step := range []struct {
			owner string
			open  int
		}{{"nobody", 2}, {"a", 1}, {"a", 1}, {"b", 0}, {"b", 0}} {
			s.tell(&ReturnSockets{Owner: step.owner})
			if len(s.open) != step.open {
				t.Errorf("after %s returned its leases %d are open, want %d", step.owner, len(s.open), step.open)
			}
		}
	})
}

// Covers: G6, G9
func TestSharedAndOwnSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		own := at(80)
		own.ReusePort = true
		a, b := s.lease("a", own).(*SocketsLeased), s.lease("b", own).(*SocketsLeased)
		if a.Files[0] == b.Files[0] {
			t.Error("reuse-port sockets are shared")
		}
		other := at(81)
		s.lease("c", other)
		other.Backlog, other.NonBlock = 7, true
		s.lease("d", other)
		if s.made != 3 {
			t.Errorf("%d sockets were made, want 3: other options make no other socket", s.made)
		}
		for _, owner := range []string{"a", "b", "c", "d"} {
			s.tell(&ReturnSockets{Owner: owner})
		}
		if len(s.open) != 0 {
			t.Errorf("%d are open", len(s.open))
		}
	})
}

// Covers: G14
func TestFailedListenLeasesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.lease("b", at(80))
		s.refuse = func(want actors.Socket) error {
			if want.Addr.Port() == 443 {
				return errors.New("in use")
			}
			return nil
		}
		failed, ok := s.lease("a", at(80), at(81), at(443)).(*LeaseFailed)
		if !ok || failed.Gen != 7 || failed.Err.Error() != "in use" {
			t.Errorf("got %+v", failed)
		}
		if len(s.open) != 1 {
			t.Errorf("%d are open, want b's", len(s.open))
		}
		s.refuse = func(actors.Socket) error { panic("oops") }
		if _, ok := s.lease("a", at(80), at(81)).(*LeaseFailed); !ok {
			t.Error("a panic is not answered")
		}
		// Leases from before the panic are returned with the next lease.
		s.refuse = nil
		s.lease("a", at(81))
		s.tell(&ReturnSockets{Owner: "a"})
		s.tell(&ReturnSockets{Owner: "b"})
		if len(s.open) != 0 {
			t.Errorf("%d are open", len(s.open))
		}
	})
}

// A socket is restored so that no living sharer is hurt; a dead container is no sharer.
func TestASocketIsRestoredBeforeItIsHandedOnAndWhenOneDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		own := at(82)
		own.ReusePort = true
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() { s.lease("a", at(80), own) }, ""},
			{func() { s.tell(&InspectSockets{Owner: "a"}) }, "0.0.0.0:80 false, 0.0.0.0:82 false"},
			{func() { s.lease("a", at(80), own) }, "0.0.0.0:80 false"},
			{func() { s.lease("b", at(80)) }, "0.0.0.0:80 true"},
			{func() { s.tell(&InspectSockets{Owner: "a"}) }, "0.0.0.0:80 true, 0.0.0.0:82 false"},
			{func() { s.lease("a", at(80)) }, "0.0.0.0:80 true"},
			{func() { s.tell(&ReturnSockets{Owner: "a"}) }, ""},
			{func() { s.lease("b", at(80)) }, "0.0.0.0:80 false"},
			{func() { s.tell(&InspectSockets{Owner: "nobody"}) }, ""},
		} {
			s.restored = nil
			step.do()
			if got := strings.Join(s.restored, ", "); got != step.want {
				t.Errorf("restored %q, want %q", got, step.want)
			}
		}
	})
}

func TestAShutDownSocketIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.lease("web/a.0", at(80))
		s.lease("web/a.1", at(80))
		s.restore = func(actors.Socket) (sock.Restored, error) { return sock.Restored{Revived: true}, nil }
		s.tell(&InspectSockets{Owner: "web/a.1"})
		if text := s.log.String(); !strings.Contains(text, `"level":"warn","event":"socket","container":"web/a.1","address":"0.0.0.0:80"`) {
			t.Errorf("the log is %s", text)
		}
	})
}

func TestASocketThatCannotBeRestoredIsNotHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.lease("a", at(80))
		s.restore = func(actors.Socket) (sock.Restored, error) { return sock.Restored{}, errors.New("another listens") }
		if failed, ok := s.lease("a", at(80)).(*LeaseFailed); !ok || failed.Err.Error() != "another listens" {
			t.Errorf("got %+v", failed)
		}
		if len(s.open) != 0 {
			t.Errorf("%d are open", len(s.open))
		}
		// Nobody has it: it is made anew.
		if _, ok := s.lease("a", at(80)).(*SocketsLeased); !ok || s.made != 2 {
			t.Errorf("%d were made", s.made)
		}
	})
}

func TestWhatIsLeasedIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		show := func(sockets ...actors.Socket) []*os.File {
			s.tell(&ShowSockets{Owner: "a", Gen: 7, Sockets: sockets, ReplyTo: s.customer})
			shown := s.answers[0].(*SocketsShown)
			s.answers = nil
			if shown.Gen != 7 {
				t.Errorf("generation %d", shown.Gen)
			}
			return shown.Files
		}
		if files := show(at(80)); files != nil {
			t.Errorf("%v of nobody", files)
		}
		leased := s.lease("a", at(80), at(81)).(*SocketsLeased).Files
		if files := show(at(81), at(80)); len(files) != 2 || files[0] != leased[1] || files[1] != leased[0] {
			t.Errorf("%v, want %v the other way round", files, leased)
		}
		if files := show(at(80), at(82)); files != nil {
			t.Errorf("%v, and one is missing", files)
		}
	})
}

func TestLeaveClosesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.lease("a", at(80))
		s.lease("b", at(80), at(81))
		s.tell(&LeaveListener{})
		if len(s.open) != 0 || !s.left {
			t.Errorf("%d are open, the parent was told: %v", len(s.open), s.left)
		}
	})
}

// TestAnySequence compares random leases with a model.
func TestAnySequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		random := rand.New(rand.NewPCG(1, 1))
		owners := map[string][]uint16{}
		for step := range 3000 {
			owner := fmt.Sprint(random.IntN(6))
			if random.IntN(2) == 0 {
				s.tell(&ReturnSockets{Owner: owner})
				delete(owners, owner)
			} else {
				var wanted []actors.Socket
				owners[owner] = nil
				for port := range uint16(5) {
					if random.IntN(2) == 0 {
						wanted = append(wanted, at(port))
						owners[owner] = append(owners[owner], port)
					}
				}
				leased := s.lease(owner, wanted...).(*SocketsLeased)
				for i, file := range leased.Files {
					if s.open[file].Addr != wanted[i].Addr {
						t.Fatalf("step %d: file %d is not of %s, or closed", step, i, wanted[i].Addr)
					}
				}
			}
			var want, got []uint16
			for _, ports := range owners {
				want = append(want, ports...)
			}
			slices.Sort(want)
			want = slices.Compact(want)
			for _, socket := range s.open {
				got = append(got, socket.Addr.Port())
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("step %d: open %v, want %v", step, got, want)
			}
		}
	})
}
