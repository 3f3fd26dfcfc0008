// Package listener owns the daemon's listening sockets (section G of
// docs/requirements.md).
//
// A socket is identified by its address. Each container that starts takes a lease
// on every socket that it inherits, and returns all of them at its death. A
// socket is closed with its last lease, so that clients notice. While a socket is
// bound its options do not change. A socket with reuse-port is not shared: every
// start opens its own.
//
// A container that replaces another of the same name returns the other's leases
// only after it has its own, so that a replacement of all listeners of a port
// does not close it for a moment (a choice of ours). If the successor wants other
// options, the old lease is returned first, so that they apply, unless others
// hold the socket.
//
// A program can call shutdown(2) on a socket that it shares with others, as
// libraries do that end a server properly, and change its options for all of
// them. So sockets are restored when a container that has them is dead, and
// before they are handed on (package sock, Restore).
//
// Out of scope: the use of a socket, and its descriptor in the program.
package listener
