// Package simulation runs the whole actor side (root, sandboxes, processes,
// listener, spawner) against the fake kernel, on the fake time of
// testing/synctest, driven by a seed, and checks after each step what has to be
// true at any moment. It is tests only; nothing imports it.
//
// Each actor gets a mailbox of the simulation, by the library's spawn
// middleware. One goroutine takes one message at a time out of one of them,
// which one is the seed's choice, and waits until everything that the message
// set off sleeps. So the same seed is the same run, messages of different
// senders overtake each other in all ways, and nothing in the actors knows of
// it. What comes from timers and other goroutines at one instant is put in an
// order of its own. Two things are chance that the seed does not rule:
// restart-backoff's jitter, which is 0 here, and the order of Go's maps, on which
// no actor may depend.
//
// A step is one action: an edit of the files and a reload, the end of a program
// or of its PID 1, forks or ports that fail for a while, a child that nobody
// knows, time that goes by, in which programs fail their checks, a stop of the daemon and the start of the next, a
// SIGKILL of the daemon after any message, in a reload, a stop, an adoption or
// in between, with deaths until the next daemon has adopted what is left. The
// files are edited into broken ones as well. What is expected of a reload is
// computed from the edits, not from the root's own Merge.
//
//	go test ./actors/simulation -run Soak -seed 4711 -steps 1000 -v
//
// replays one seed, with the log of the actors. `make soak` runs many.
package simulation
