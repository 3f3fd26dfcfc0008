// Package fair orders queued starts: the container with the fewest recent starts
// goes first.
//
// So a container that ran for long before it died does not queue behind a
// thousand flapping ones, and those share the rest: each start moves a container
// behind the others. Every fourth time the one that has queued longest goes
// first, so that none queues for ever.
//
// The spawner's queue for its one thread and the queue of restart-budget use it.
package fair
