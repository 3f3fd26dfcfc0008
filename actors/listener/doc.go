// Package listener owns the daemon's listening sockets (seeds/000 chapter 5.3,
// checklist G).
//
// A socket is found by its address. Each container that starts takes a lease
// on every socket that it is to inherit, and returns all of them as soon as it
// is dead; a socket is closed when its last lease is gone, so that whoever
// connects notices. While a socket is bound its options stay as they were. A
// socket with reuse-port is not shared: every start gets one of its own.
//
// What a socket is used for, and in which descriptor it ends up, is none of
// its business.
package listener
