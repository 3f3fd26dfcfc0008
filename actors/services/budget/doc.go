// Package budget limits the restarts of all containers of the host a second, by
// restart-budget of the master config.
//
// A restart takes a token when restart-timeout and restart-backoff are over.
// First starts, changed configs, stops, and restarts by PID 1 itself
// (restart-process-only) take none. The bucket fills at the rate, up to the
// burst. Without a token restarts queue, in the order of package fair. So a
// container that ran for long queues for a token or two, however many flap.
//
// It is a value with a lock, not an actor: a restart that need not queue, which
// is each one without the option, costs no message.
package budget
