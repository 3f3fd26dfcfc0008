// Package readiness is how the program of a container tells that it is ready: by
// a line that it writes to a pipe, as for s6, or by datagrams that it sends to a
// socket, as by sd_notify(3). The supervisor listens at a [Channel].
//
// PID 1 keeps both ends open. So the channel outlives the supervisor, and its
// successor takes it from PID 1, with everything that was written meanwhile.
//
// What belongs here: making, hearing and taking over a channel. What a message
// means for the container: not.
package readiness
