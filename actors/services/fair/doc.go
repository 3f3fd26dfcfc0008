// Package fair decides who is next where many containers want to be started:
// the one with the fewest recent starts.
//
// So what has run for long before it died does not wait behind a thousand that
// die again and again, and those share what is left: each start puts a
// container behind the others. None waits for ever, since every fourth time the
// one that has waited longest is next.
//
// The spawner's queue for its one thread and the queue for restart-budget are
// of this kind.
package fair
