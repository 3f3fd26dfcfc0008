package spawner

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/fair"
	"lithos/spawn"
)

// collector is an actor that keeps what it gets, in the order of all of them.
type collector struct {
	mu  sync.Mutex
	got []string
}

func (c *collector) props(name string) *actor.Props {
	return actor.PropsFromFunc(func(ctx actor.Context) {
		var text string
		switch m := ctx.Message().(type) {
		case *ContainerForked:
			text = "forked " + m.Name
		case *ForkFailed:
			text = "failed " + m.Err.Error()
		case *ForksFlushed:
			text = "settled"
		default:
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, name+": "+text)
	})
}

func (c *collector) wait(t *testing.T, n int) []string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		c.mu.Lock()
		got := slices.Clone(c.got)
		c.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("got only %d of %d reports: %v", len(got), n, got)
		}
		runtime.Gosched()
	}
}

func request(name string) *spawn.Request { return &spawn.Request{Spec: &spawn.Spec{Name: name}} }

func TestAllForksAreOnOneThreadAndNobodyWaits(t *testing.T) {
	var threads sync.Map
	slow := make(chan struct{})
	kernel := &actors.Kernel{Start: func(r *spawn.Request) (*spawn.Child, error) {
		threads.Store(syscall.Gettid(), true)
		if r.Spec.Name == "slow" {
			<-slow
		}
		return &spawn.Child{PID: 1, PIDFD: new(os.File)}, nil
	}}
	system := actors.NewSystem(zerolog.Nop())
	reports := &collector{}
	root := system.Root.Spawn(reports.props("root"))
	owner := system.Root.Spawn(reports.props("owner"))
	dispatcher := NewDispatcher()
	defer dispatcher.Close()
	pid := system.Root.Spawn(actors.TopProps("spawner", zerolog.Nop(), New(kernel, zerolog.Nop(), root), actor.WithDispatcher(dispatcher)))

	sent := make(chan struct{})
	go func() {
		system.Root.Send(pid, &StartContainer{Request: request("slow"), ReplyTo: owner})
		for range 500 {
			system.Root.Send(pid, &StartContainer{Request: request("x"), ReplyTo: owner})
		}
		close(sent)
	}()
	select {
	case <-sent:
	case <-time.After(20 * time.Second):
		t.Fatal("who asks for a fork has to wait for another fork")
	}
	close(slow)
	reports.wait(t, 2*501)
	n := 0
	threads.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("the forks were on %d threads", n)
	}
}

// Covers: N4
func TestCancelledStartIsNotForked(t *testing.T) {
	begun, slow := make(chan string, 10), make(chan struct{})
	kernel := &actors.Kernel{Start: func(r *spawn.Request) (*spawn.Child, error) {
		begun <- r.Spec.Name
		<-slow
		return &spawn.Child{PID: 1, PIDFD: new(os.File)}, nil
	}}
	system := actors.NewSystem(zerolog.Nop())
	reports := &collector{}
	root := system.Root.Spawn(reports.props("root"))
	owner := system.Root.Spawn(reports.props("owner"))
	dispatcher := NewDispatcher()
	defer dispatcher.Close()
	pid := system.Root.Spawn(actors.TopProps("spawner", zerolog.Nop(), New(kernel, zerolog.Nop(), root), actor.WithDispatcher(dispatcher)))
	var cancelled atomic.Bool
	for _, name := range []string{"first", "second", "third"} {
		system.Root.Send(pid, &StartContainer{Request: request(name), ReplyTo: owner, Cancelled: &cancelled})
	}
	<-begun
	cancelled.Store(true)
	close(slow)
	got := reports.wait(t, 4)
	slices.Sort(got)
	want := []string{"owner: failed " + ErrCancelled.Error(), "owner: failed " + ErrCancelled.Error(), "owner: forked first", "root: forked first"}
	if !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
	if len(begun) != 0 {
		t.Errorf("%s was forked", <-begun)
	}
}

func TestTheThreadEndsWithTheDispatcher(t *testing.T) {
	tid := threadOfADispatcher(t)
	if tid == os.Getpid() {
		// The runtime can't end the process' first thread; it parks it
		// for good. So the next one is another.
		tid = threadOfADispatcher(t)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if err := syscall.Tgkill(os.Getpid(), tid, 0); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the thread is still there: another goroutine could get it")
		}
		time.Sleep(time.Millisecond)
	}
}

// threadOfADispatcher gives the thread of a dispatcher that was closed.
func threadOfADispatcher(t *testing.T) int {
	t.Helper()
	d := NewDispatcher()
	tids := make(chan int, 2)
	for range 2 {
		d.Schedule(func() { tids <- syscall.Gettid() })
	}
	d.Close()
	tid := <-tids
	if again := <-tids; again != tid {
		t.Errorf("threads %d and %d", tid, again)
	}
	return tid
}

func TestOrderOfReports(t *testing.T) {
	system := actors.NewSystem(zerolog.Nop())
	var pid *actor.PID
	kernel := &actors.Kernel{Start: func(r *spawn.Request) (*spawn.Child, error) {
		if r.Spec.Name == "panic" {
			panic("oops")
		}
		// A request during a fork gets its report first.
		system.Root.Send(pid, &FlushForks{})
		return &spawn.Child{PID: 1}, nil
	}}
	reports := &collector{}
	// On the spawner's own thread each Send runs the receiver's turn at once,
	// so the list is in the order of sending.
	inline := actor.WithDispatcher(actor.NewSynchronizedDispatcher(300))
	root := system.Root.Spawn(reports.props("root").Configure(inline))
	owner := system.Root.Spawn(reports.props("owner").Configure(inline))
	dispatcher := NewDispatcher()
	defer dispatcher.Close()
	pid = system.Root.Spawn(actors.TopProps("spawner", zerolog.Nop(), New(kernel, zerolog.Nop(), root), actor.WithDispatcher(dispatcher)))
	system.Root.Send(pid, &StartContainer{Request: request("a"), ReplyTo: owner})
	system.Root.Send(pid, &StartContainer{Request: request("panic"), ReplyTo: owner})
	got := reports.wait(t, 4)
	want := []string{"owner: forked a", "root: forked a", "root: settled", "owner: failed internal error in spawner: oops"}
	if !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

// A thousand containers are asked to start while a fork is under way, and
// then one that has run for long: it is among the next two.
func TestAHealthyContainerIsForkedBeforeAThousandThatFlap(t *testing.T) {
	began, slow := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var order []string
	kernel := &actors.Kernel{Start: func(r *spawn.Request) (*spawn.Child, error) {
		mu.Lock()
		order = append(order, r.Spec.Name)
		first := len(order) == 1
		mu.Unlock()
		if first {
			close(began)
			<-slow
		}
		return &spawn.Child{PID: 1}, nil
	}}
	system := actors.NewSystem(zerolog.Nop())
	reports := &collector{}
	root := system.Root.Spawn(reports.props("root"))
	dispatcher := NewDispatcher()
	defer dispatcher.Close()
	pid := system.Root.Spawn(actors.TopProps("spawner", zerolog.Nop(), New(kernel, zerolog.Nop(), root), actor.WithDispatcher(dispatcher)))
	now := time.Now()
	flapping := fair.Pace{}.Started(now).Started(now)
	for range 1000 {
		system.Root.Send(pid, &StartContainer{Request: request("flaps"), ReplyTo: root, Pace: flapping})
	}
	<-began
	system.Root.Send(pid, &StartContainer{Request: request("healthy"), ReplyTo: root, Pace: fair.Pace{}.Started(now.Add(-time.Hour))})
	close(slow)
	reports.wait(t, 2*1001)
	if at := slices.Index(order, "healthy"); at < 1 || at > 2 {
		t.Errorf("it was forked after %d others", at)
	}
}
