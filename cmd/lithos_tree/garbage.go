package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"lithos/cmd/internal/reader"
	"lithos/configs"
)

// gcPercent keeps the heap small. The daemon makes little garbage and has all
// the time in the world: memory is what it competes for with the programs.
const gcPercent = 30

// Where the heap is small, that percentage of it is what a few restarts leave,
// and the collector took 6 % of the time of each: it may grow by
// someGarbage, bytes, as long as that is not more than mostPercent.
const (
	someGarbage = 2 << 20
	mostPercent = 100
)

// loadingPercent is for the time in which configs are read and a plan is
// applied: all that is made then is needed or is garbage at the end, and to
// look for it on the way was a third of a reload's processor time.
const loadingPercent = 300

// loadingTime ends that at the latest: a plan that is refused is never applied.
const loadingTime = 5 * time.Second

// loadConfigs reads the configs at a reload.
func loadConfigs(images *reader.Reader, file string) (*configs.Plan, configs.Problems) {
	debug.SetGCPercent(loadingPercent)
	time.AfterFunc(loadingTime, collectAsUsual)
	return images.Load(configs.Options{MasterFile: file})
}

// giveBack takes what a plan's application has left as garbage, and gives its
// memory back to the host.
func giveBack() {
	debug.FreeOSMemory()
	collectAsUsual()
}

// collectAsUsual is how garbage is collected while no configs are read.
func collectAsUsual() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(percentFor(live[0].Value.Uint64()))
}

// percentFor is the percentage for a heap of which so many bytes are needed.
func percentFor(live uint64) int {
	return max(gcPercent, min(mostPercent, int(100*someGarbage/max(live, 1))))
}
