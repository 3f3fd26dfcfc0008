// Package control is the control socket: HTTP with JSON on `<runtime-dir>/
// control.sock`, for lithos_ps, lithos_switch, monitoring and people with curl.
// What is said is in package api; docs/control.md describes it.
//
// It reads the [status.Board] and never asks an actor, so that no client,
// however slow or hostile, is waited for by the supervision: connections,
// time, question sizes and events kept are bounded.
//
// Choices of ours: root may do everything; the control-group of the master
// config may read. Who a client is comes from the kernel (SO_PEERCRED and
// SO_PEERGROUPS), whatever the mode of the socket may have become. Root's
// connections are counted apart, so that others can't lock him out. There is
// nothing here to start, stop or restart a container (requirement N1): what runs
// is in the configs. A socket that can't be made is an error in the log, and
// no reason for the daemon to end.
package control
