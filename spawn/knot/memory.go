package knot

import "runtime"

// collectEvery is how many restarts of the program may leave their garbage, a
// few kB each, before it is collected. The collector is off otherwise (the
// supervisor starts PID 1 with GOGC=off): it would wake an idle PID 1 every two
// minutes and cost more memory than there is to collect.
const collectEvery = 64

func tidy(starts int) {
	if starts%collectEvery == collectEvery-1 {
		runtime.GC()
	}
}
