// Package status is the current state, for readers such as the control socket and
// the metrics.
//
// Actors write on a [Board], each its own part: the root the plan and the
// reloads, a process actor its instance. Readers never send a message to an
// actor, where it would queue in the mailbox. Entries are immutable, a mutex is
// held only to exchange pointers, and events are in a ring whose oldest entries a
// slow reader loses. So no reader can delay the supervision.
package status
