package actors

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"github.com/rs/zerolog"
)

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// receiver is an actor from a function.
type receiver func(actor.Context)

func (r receiver) Receive(ctx actor.Context) { r(ctx) }

func TestAPanicCostsOneMessageAndNoChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &buffer{}
		logger := zerolog.New(log)
		system := NewSystem(logger)
		var parentGot, childGot, started, stopped atomic.Int32
		var child *actor.PID
		parent := system.Root.Spawn(TopProps("the parent", logger, receiver(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				started.Add(1)
				child = ctx.Spawn(ChildProps("the child", logger, receiver(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case string:
						childGot.Add(1)
						if m == "panic" {
							panic("child's reason")
						}
					case *actor.Stopping:
						stopped.Add(1)
					}
				})))
			case string:
				parentGot.Add(1)
				if m == "panic" {
					panic("parent's reason")
				}
			}
		})))
		synctest.Wait()
		for range 50 { // more than the library's own limit of 10 in 10 s
			system.Root.Send(parent, "panic")
			system.Root.Send(child, "panic")
		}
		system.Root.Send(parent, "ok")
		system.Root.Send(child, "ok")
		synctest.Wait()
		if parentGot.Load() != 51 || childGot.Load() != 51 {
			t.Errorf("the parent got %d, the child %d messages of 51", parentGot.Load(), childGot.Load())
		}
		if started.Load() != 1 || stopped.Load() != 0 {
			t.Errorf("the parent was started %d times, the child stopped %d times", started.Load(), stopped.Load())
		}
		for _, text := range []string{"Internal error in the parent", "parent's reason", "Internal error in the child", "system_test.go"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("the log lacks %q", text)
			}
		}
	})
}

func TestTheSecondLineResumesToo(t *testing.T) {
	// A child without the guard, as if it had failed: the library's own way.
	synctest.Test(t, func(t *testing.T) {
		logger := zerolog.Nop()
		system := NewSystem(logger)
		var got, restarted atomic.Int32
		var child *actor.PID
		system.Root.Spawn(TopProps("parent", logger, receiver(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				child = ctx.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case string:
						got.Add(1)
						panic("unguarded")
					case *actor.Restarting:
						restarted.Add(1)
					}
				}))
			}
		})))
		synctest.Wait()
		for range 20 {
			system.Root.Send(child, "x")
		}
		synctest.Wait()
		if got.Load() != 20 || restarted.Load() != 0 {
			t.Errorf("got %d of 20 messages, restarted %d times", got.Load(), restarted.Load())
		}
	})
}

func TestRecoverGivesThePanicAsAnError(t *testing.T) {
	got := func() (err error) {
		defer Recover(zerolog.Nop(), "x", func(reason error) { err = reason })
		panic("why")
	}()
	if got == nil || !strings.Contains(got.Error(), "why") {
		t.Errorf("got %v", got)
	}
	func() {
		defer Recover(zerolog.Nop(), "x", func(error) { t.Error("called without a panic") })
	}()
}

// BenchmarkNewSystem is what each start of the daemon begins with, after a kill
// as well.
func BenchmarkNewSystem(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewSystem(zerolog.Nop())
	}
}

func TestTheLibrarysTableIsCutDown(t *testing.T) {
	system := NewSystem(zerolog.Nop())
	if n := len(system.ProcessRegistry.LocalPIDs.LocalPIDs); n != 1 {
		t.Errorf("%d maps", n)
	}
	if n := len(system.ProcessRegistry.LocalPIDs.LocalPIDs[0]); n != 1 {
		t.Errorf("the map is %d", n)
	}
	// Earlier entries are still in it, and new ones are found.
	for _, id := range []string{"eventstream", "deadletter"} {
		if _, ok := system.ProcessRegistry.GetLocal(id); !ok {
			t.Errorf("%s is lost", id)
		}
	}
	got := make(chan string, 1000)
	var pids []*actor.PID
	for i := range 1000 {
		pids = append(pids, system.Root.Spawn(TopProps(fmt.Sprint(i), zerolog.Nop(), receiver(func(ctx actor.Context) {
			if m, ok := ctx.Message().(string); ok {
				got <- m
			}
		}))))
	}
	for _, pid := range pids {
		// A pid without the shortcut that the library keeps in it.
		system.Root.Send(actor.NewPID(pid.Address, pid.Id), "hello")
	}
	for range pids {
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Fatal("an actor is not found")
		}
	}
}

// TestMemoryOfAnInstancesActor keeps an eye on what 200 instances cost.
func TestMemoryOfAnInstancesActor(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	system := NewSystem(zerolog.Nop())
	before := heap()
	goroutines := runtime.NumGoroutine()
	for i := range 200 {
		system.Root.Spawn(TopProps(fmt.Sprint(i), zerolog.Nop(), receiver(func(actor.Context) {})))
	}
	for runtime.NumGoroutine() > goroutines {
		runtime.Gosched()
	}
	// The heap of the tests before may have become smaller meanwhile.
	if each := (int64(heap()) - int64(before)) / 200; each > 4096 {
		t.Errorf("%d bytes each", each)
	}
	runtime.KeepAlive(system)
}

// The library's traps that this project works around: these tests fail when a
// new version no longer has them, and then docs/adr/0001 can be reconsidered.

func TestTrap_StopOvertakesMessages(t *testing.T) {
	lost := false
	system := NewSystem(zerolog.Nop())
	for range 100 {
		var got atomic.Int32
		stopped := make(chan struct{})
		block := make(chan struct{})
		pid := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case string:
				got.Add(1)
				<-block
			case *actor.Stopped:
				close(stopped)
			}
		}))
		for range 3 {
			system.Root.Send(pid, "x")
		}
		system.Root.Stop(pid)
		close(block)
		<-stopped
		lost = lost || got.Load() < 3
	}
	if !lost {
		t.Error("Stop did not overtake any message")
	}
}

func TestTrap_AMailboxChangesThreads(t *testing.T) {
	system := NewSystem(zerolog.Nop())
	ids := make(chan string)
	pid := system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(string); ok {
			stack := make([]byte, 64)
			ids <- strings.Fields(string(stack[:runtime.Stack(stack, false)]))[1]
		}
	}))
	seen := map[string]bool{}
	for range 20 {
		system.Root.Send(pid, "x")
		seen[<-ids] = true
		time.Sleep(time.Millisecond)
	}
	if len(seen) == 1 {
		t.Error("all messages were handled by one goroutine")
	}
}

func TestTimersAreOneShotAndFromTheRootContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := NewSystem(zerolog.Nop())
		var got atomic.Int32
		pid := system.Root.Spawn(TopProps("x", zerolog.Nop(), receiver(func(ctx actor.Context) {
			if _, ok := ctx.Message().(string); ok {
				got.Add(1)
			}
		})))
		timers := scheduler.NewTimerScheduler(system.Root)
		cancel := timers.SendOnce(time.Hour, pid, "cancelled")
		timers.SendOnce(time.Hour, pid, "sent")
		time.Sleep(time.Minute)
		cancel()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got.Load() != 1 {
			t.Errorf("got %d messages, want 1", got.Load())
		}
	})
}
