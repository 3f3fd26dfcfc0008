// Package listener owns the daemon's listening sockets (section G of
// docs/requirements.md).
//
// A socket is found by its address. Each container that starts takes a lease
// on every socket that it is to inherit, and returns all of them as soon as it
// is dead; a socket is closed when its last lease is gone, so that whoever
// connects notices. While a socket is bound its options stay as they were. A
// socket with reuse-port is not shared: every start gets one of its own.
//
// A container that takes the place of another under the same name gives back
// the other's leases only after it has its own, so that the replacement of all
// who listen on a port does not close it for a moment (a choice of ours). If
// the successor wants other options, the old lease is returned first: they
// count, unless others hold the socket.
//
// What a socket is used for, and in which descriptor it ends up, is none of
// its business.
package listener
