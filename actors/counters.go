package actors

import "sync/atomic"

// Counters count what happened to all instances of one process of a sandbox
// (checklist Q2). They belong to the sandbox actor, its process actors add to
// them, and whoever exports metrics reads them.
type Counters struct {
	Started  atomic.Int64
	Deaths   atomic.Int64
	Failures atomic.Int64 // see N9 for what counts
	Running  atomic.Int64 // gauge
	// Causes counts Deaths by their cause, and the starts that failed before
	// there was a process.
	Causes [CauseCount]atomic.Int64
}
