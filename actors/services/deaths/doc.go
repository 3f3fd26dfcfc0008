// Package deaths keeps how containers died: for each instance a file
// `<runtime-dir>/deaths/SANDBOX/PROCESS.INDEX`, a line of JSON (api.Death) for
// each death, the oldest first. Only root can read it; what a program wrote
// last is in it.
//
// It is bounded: the last ten of an instance, 20 lines and 4 KiB of output
// each, and 16 MiB in all, beyond which the files go first that have been
// quiet for longest. They are in the runtime directory, so they survive the
// daemon and not the host.
//
// It links no actor library, so that lithos_ps can read the files of a daemon
// that is dead.
//
// Writing is one goroutine's work, over a queue that an actor waits for no longer
// than a moment: in a storm records are lost, and counted, rather than restarts
// delayed. Each death is kept once, also if the daemon is killed over it: it is
// written before the container's record says that it was told, and who finds it
// here and not there tells it no second time. What
// can't be written (the disk is full or read-only, no descriptor is to be had)
// is told with the rest from memory and tried again, the last 1024 of them.
package deaths
