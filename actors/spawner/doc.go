// Package spawner is the only place that forks.
//
// Its actor runs on one goroutine that is locked to its operating system thread
// and never ends, because the fork engine needs that; the actor library would
// otherwise run a mailbox on a new goroutine each time. The dispatcher that feeds
// this mailbox only queues: a slow fork delays other forks, but no other actor.
//
// It is fair: of the queued starts, the container with the fewest recent starts
// goes first (package fair). Beside a thousand flapping containers, one that ran
// for an hour restarts within a fork or two.
//
// A fork is reported to the process actor first and then to the root. So when the
// root learns a pid and forwards its death, the process actor has the report.
package spawner
