// Package control is the control socket: HTTP with JSON on `control.sock` in the
// runtime-dir, for lithos_ps, lithos_switch, monitoring and people with curl.
// Package api has its messages; docs/control.md describes it.
//
// It reads the [status.Board] and never asks an actor, so that no slow or hostile
// client delays the supervision. Connections, time, sizes of questions and stored
// events are bounded.
//
// Choices of ours: root may do everything; the control-group of the master config
// may read. The kernel identifies the client (SO_PEERCRED and SO_PEERGROUPS),
// independently of the socket's mode. Connections of root are counted apart, so
// that others cannot lock root out. No request starts, stops or restarts a
// container (requirement N1): the configs say what runs. If the socket cannot be
// made, the daemon logs an error and continues.
package control
