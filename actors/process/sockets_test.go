package process

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/services/deaths"
	"lithos/configs"
	"lithos/spawn"
	"lithos/sysx/sock"
)

// listening is an instance with the ports 80 and 81.
func listening() *configs.Instance {
	in := instance("1")
	for port := range uint16(2) {
		in.Container.TCPPorts = append(in.Container.TCPPorts, configs.TCPPort{Host: netip.IPv4Unspecified(), Port: 80 + port, FD: 3 + int(port)})
	}
	return in
}

// TestADeathTellsOfSocketsThatWereShutDown also tests that the listener is asked to
// restore them, before it is asked for those of the next start.
func TestADeathTellsOfSocketsThatWereShutDown(t *testing.T) {
	for name, start := range map[string]func(s *stage, files []*os.File) uint32{
		"started": func(s *stage, files []*os.File) uint32 {
			s.tell(&RunInstance{Instance: listening(), Env: s.env})
			for _, m := range s.take() {
				if lease, ok := m.(*listener.LeaseSockets); ok {
					s.tell(&listener.SocketsLeased{Gen: lease.Gen, Files: files})
				}
			}
			return s.fork(7)
		},
		"adopted": func(s *stage, files []*os.File) uint32 {
			s.tell(&AdoptInstance{Instance: listening(), Env: s.env, Adopted: &Adopted{
				Name: "web/app.0", Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Started: time.Now()},
				Fingerprint: "1", Created: time.Now(), Leased: true,
			}})
			for _, m := range s.take() {
				if asked, ok := m.(*listener.ShowSockets); ok && len(asked.Sockets) == 2 {
					s.tell(&listener.SocketsShown{Gen: asked.Gen, Files: files})
				}
			}
			return AdoptedGen
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				store, err := deaths.New(deaths.Dir(dir), zerolog.Nop())
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				s := newStage(t)
				s.env.Deaths = store
				files := []*os.File{new(os.File), new(os.File)}
				s.env.Kernel.Accepts = func(file *os.File) (bool, error) { return file == files[0], nil }
				gen := start(s, files)
				s.take()
				s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited0}})
				list, err := store.Read("web/app.0")
				if err != nil || len(list) != 1 || !slices.Equal(list[0].SocketsShutDown, []string{"0.0.0.0:81"}) {
					t.Errorf("kept is %+v, %v", list, err)
				}
				if n := s.counters.SocketsShutDown.Load(); n != 1 {
					t.Errorf("counted are %d", n)
				}
				if !strings.Contains(s.log.String(), "the listening socket of 0.0.0.0:81 was shut down") {
					t.Errorf("the log is %s", s.log.String())
				}
				sent := s.take()
				if m, ok := sent[0].(*listener.InspectSockets); !ok || m.Owner != "web/app.0" {
					t.Errorf("sent first is %T", sent[0])
				}
			})
		})
	}
}

func TestIPv6OnlyIsHandedOn(t *testing.T) {
	yes, no := true, false
	for option, want := range map[*bool]sock.V6Only{nil: sock.V6OnlyBySysctl, &yes: sock.V6OnlyYes, &no: sock.V6OnlyNo} {
		c := &configs.Container{TCPPorts: []configs.TCPPort{{Host: netip.IPv6Unspecified(), Port: 80, FD: 3, IPv6Only: option}}}
		if got := Sockets(c)[0].V6Only; got != want {
			t.Errorf("%v: %d, want %d", option, got, want)
		}
	}
}
