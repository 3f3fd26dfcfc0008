// Package root owns the daemon: the desired plan, the table of pids, signals and
// the stop. Only it reaps children.
//
// A reload keeps the last good version of each object: [Merge] uses it in place
// of a broken one, so that no edit of a file can stop a healthy container
// (requirement D12). The sandbox actors compare the running containers with the
// merged plan.
//
// Choices of ours: QUIT and its synonyms in the original (HUP, USR1, USR2)
// reload, which reopens the log files too. INT means TERM. The second TERM is
// forwarded. The stop has a deadline: after the longest kill-timeout and a
// second, everything is killed. If containers remain even then, the daemon names
// them and exits with 1. runtime-dir, state-dir, mount-dir, cgroups and the
// choice of syslog are fixed at the daemon's start.
package root
