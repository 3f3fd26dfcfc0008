// Package root owns the daemon: the desired plan, the table of pids, signals
// and the stop. It alone reaps children.
//
// A reload keeps the last good version of each object: [Merge] puts it in the
// place of one that is broken now, so that no edit of a file can end what runs
// well (requirement D12). What runs is compared with the merged plan by
// the sandbox actors.
//
// Choices of ours: QUIT and the signals that have the same meaning in the
// original (HUP, USR1, USR2) reload, which opens the log files anew too. INT is
// TERM. The second TERM is passed on. The stop has a deadline: the longest
// kill-timeout and a second, then everything is killed; if even that does not
// help the daemon says what is left and exits with 1. runtime-dir, state-dir,
// mount-dir, cgroups and the choice of syslog are fixed when the daemon starts.
package root
