// Package spawner is the only place that forks.
//
// Its actor runs on one goroutine that is locked to its operating system
// thread and never ends: the fork engine needs that, and a mailbox of the
// actor library would otherwise run on a goroutine of its own each time. The
// dispatcher that brings the mailbox there only queues, so a fork that takes
// its time delays other forks but no other actor.
//
// It is fair: of the starts that wait, that of the container which was started
// least of late is next (package fair). Among a thousand containers that die as soon as they are
// started, one that has run for an hour is restarted within a fork or two.
//
// A fork is reported to the process actor first and then to the root. So when
// the root learns a pid and passes on its death, the process actor has the
// report already.
package spawner
