package main

import (
	"runtime/debug"
	"time"

	"lithos/cmd/internal/reader"
	"lithos/configs"
)

// gcPercent keeps the heap small. The daemon makes little garbage and has all
// the time in the world: memory is what it competes for with the programs.
const gcPercent = 30

// loadingPercent is for the time in which configs are read and a plan is
// applied: all that is made then is needed or is garbage at the end, and to
// look for it on the way was a third of a reload's processor time.
const loadingPercent = 300

// loadingTime ends that at the latest: a plan that is refused is never applied.
const loadingTime = 5 * time.Second

// loadConfigs reads the configs at a reload.
func loadConfigs(images *reader.Reader, file string) (*configs.Plan, configs.Problems) {
	debug.SetGCPercent(loadingPercent)
	time.AfterFunc(loadingTime, func() { debug.SetGCPercent(gcPercent) })
	return images.Load(configs.Options{MasterFile: file})
}

// giveBack takes what a plan's application has left as garbage, and gives its
// memory back to the host.
func giveBack() {
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory()
}
