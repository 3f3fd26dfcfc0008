// Package services has no code. It is the wing of what actors call and readers
// ask, none of which is an actor: each package here holds state behind a lock,
// or runs a goroutine of its own, and never sends an actor a message.
//
//   - status: the board of what runs at present; deaths: how containers died;
//   - control and api: the control socket, and its types and client;
//   - metrics: the counters, exported; logs: the daemon's own log files;
//   - rotation: the files of the programs' output;
//   - budget and fair: whose restart and whose start is next.
//
// They import of actors only the package with that name, and cmd/layout_test.go
// holds it. So whoever changes an actor need not read them.
package services
