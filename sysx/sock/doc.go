// Package sock makes listening TCP sockets that are to be given to other
// programs: with the owner of the program that will have them, close-on-exec,
// and unknown to Go's poller.
//
// It tells who is at the other end of a Unix socket, too.
//
// Scope: making sockets, asking about them. Out of scope: which sockets, for
// whom and how long.
package sock
