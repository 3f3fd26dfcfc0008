// Package status is what everything looks like at present, for whoever asks:
// the control socket, the metrics.
//
// Actors write on a [Board], each what it owns: the root the plan and the
// reloads, a process actor its instance. Readers never meet an actor: a
// message to one would wait in its mailbox, and the answer for a reader. What
// is written is immutable, a mutex is held only to exchange pointers, and the
// events are in a ring that a slow reader loses the beginning of. So nobody
// who looks can hold up the supervision, however slow he is.
package status
