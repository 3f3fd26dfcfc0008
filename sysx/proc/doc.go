// Package proc looks at processes, signals them and reaps them: /proc/PID/stat,
// pidfds, wait4.
//
// A pid alone says little, for it is used again; a pid with its start time is
// one process, and a pidfd is one process for good. What belongs here is one
// kernel call a function; who waits for whom, and why, is the caller's.
package proc
