// Package deaths is the archive of deaths: for each instance a file
// `<runtime-dir>/deaths/SANDBOX/PROCESS.INDEX`, a line of JSON (api.Death) for
// each death, the oldest first. Only root can read it, because it has the last
// output of programs.
//
// It is bounded: the last ten of an instance, 20 lines and 4 KiB of output each,
// and 16 MiB in all, beyond which the files that were quiet for longest are
// removed. The runtime directory holds them, so they survive the daemon and not
// the host.
//
// It links no actor library, so that lithos_ps can read the files of a dead
// daemon.
//
// One goroutine writes. Actors queue a death and wait for a moment at most: in a
// storm deaths are dropped and counted rather than restarts delayed. Each death
// is archived once, even if the daemon is killed over it: it is written before
// the container's record says so, and a later daemon does not repeat one that it
// finds here. Deaths that cannot be written (a full or read-only disk, no
// descriptor) stay in memory, the last 1024 of them, are shown with the others,
// and are retried.
package deaths
