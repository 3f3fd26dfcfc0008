// Package sock makes listening TCP sockets that are to be given to other
// programs: with the owner of the program that will have them, close-on-exec,
// and unknown to Go's poller.
//
// What belongs here: making sockets. Which, for whom and how long: not.
package sock
