// Package readiness receives readiness reports of a container's program: a line
// on a pipe, as for s6, or datagrams on a socket, as by sd_notify(3). The
// supervisor listens at a [Channel].
//
// PID 1 keeps both ends open. So the channel outlives the supervisor, and its
// successor takes it from PID 1, with all unread messages.
//
// Scope: making, reading and taking over a channel. Out of scope: the meaning of
// a message.
package readiness
