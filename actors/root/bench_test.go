package root

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/fakekernel"
	"lithos/actors/services/logs"
	"lithos/spawn"
)

// BenchmarkDeathToStart is the supervisor's share of a restart: from the
// SIGCHLD to the call that forks the successor, through all actors, with
// clean-up, logs and a shared socket; 199 others run.
func BenchmarkDeathToStart(b *testing.B) {
	k := fakekernel.New()
	started := make(chan int, 1000)
	kernel := k.Actors()
	start := kernel.Start
	kernel.Start = func(r *spawn.Request) (*spawn.Child, error) {
		child, err := start(r)
		if err == nil {
			started <- child.PID
		}
		return child, err
	}
	set := logs.To(io.Discard, zerolog.WarnLevel)
	done := make(chan error)
	signals := make(chan os.Signal, 1)
	go func() {
		done <- Run(Config{
			Kernel: kernel, Logs: set, Knot: "/knot", Signals: signals, Deaths: k.Deaths,
			Plan: plan(sb("web", proc("app", 200, "1", port(80), restartTimeout(0)))),
		})
	}()
	pids := make([]int, 200)
	for i := range pids {
		pids[i] = <-started
	}
	time.Sleep(10 * time.Millisecond) // the reports of the last forks
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k.End(pids[i%200], 2<<8)
		pids[i%200] = <-started
		i++
	}
	b.StopTimer()
	signals <- os.Interrupt
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
