// Package proc inspects, signals and reaps processes: /proc/PID/stat, pidfds,
// wait4.
//
// A pid may be reused. A pid with its start time is one process, and so is a
// pidfd. Scope: one kernel call for each function. Out of scope: the decision who
// waits for whom.
package proc
