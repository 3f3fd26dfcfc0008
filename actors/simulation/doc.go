// Package simulation runs all actors (root, sandboxes, processes, listener,
// spawner) on a fake kernel and on the fake time of testing/synctest, driven by a
// seed. It checks the invariants after each step. It has only tests; nothing
// imports it.
//
// Each actor gets a mailbox of the simulation, by the library's spawn middleware.
// One goroutine delivers one message at a time, from a mailbox that the seed
// chooses, and waits until all its effects sleep. So a seed reproduces its run,
// messages of different senders overtake each other in all ways, and the actors
// are unchanged. Events of timers and other goroutines at one instant are sorted.
// The seed does not control two sources of chance: the jitter of restart-backoff,
// which is 0 here, and the order of Go's maps, on which no actor may depend.
//
// A step is one action: an edit of the files and a reload; the end of a program
// or of its PID 1; forks or ports that fail for a while; an unknown child; time,
// in which programs fail their probes; a stop of the daemon and the start of the
// next; a SIGKILL of the daemon after any message, with deaths until the next
// daemon has adopted the rest. Edits may break files. The expected result of a
// reload is computed from the edits, not by the root's own Merge.
//
//	go test ./actors/simulation -run Soak -seed 4711 -steps 1000 -v
//
// replays one seed, with the log of the actors. `make soak` runs many.
package simulation
