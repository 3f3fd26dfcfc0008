// Package services has no code. Its folder has the packages that actors call and
// readers query. None of them is an actor: each holds state behind a lock, or
// runs a goroutine of its own, and never sends a message to an actor.
//
//   - status: the board of the current state; deaths: the archive of deaths;
//   - control and api: the control socket, and its types and client;
//   - metrics: the counters, exported; logs: the daemon's own log files;
//   - rotation: the files of the programs' output;
//   - budget and fair: whose restart and whose start is next.
//
// They import only the package actors, which cmd/layout_test.go checks. So a
// change of an actor does not affect them.
package services
