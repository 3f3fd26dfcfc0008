// Package fakekernel is an [actors.Kernel] without a kernel: processes that
// are timers, sockets and state dirs that are entries of a map. A [Behaviour]
// says what each start of each container does. With testing/synctest a day of
// restarts takes a second.
//
// It is for tests and simulations; no program imports it.
package fakekernel
