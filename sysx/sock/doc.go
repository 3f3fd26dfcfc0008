// Package sock makes listening TCP sockets that are to be given to other
// programs: with the owner of the program that will have them, close-on-exec,
// and unknown to Go's poller.
//
// It tells who is at the other end of a Unix socket, too.
//
// What belongs here: making sockets, asking about them. Which, for whom and how
// long: not.
package sock
