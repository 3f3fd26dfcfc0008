// Package budget bounds how many containers of the host are restarted a second,
// restart-budget of the master config.
//
// What is bounded are restarts, from the moment on when restart-timeout and
// restart-backoff allow them: not the first start of a container, not the one
// with another config, no stop, and not what PID 1 does itself
// (restart-process-only). A bucket of tokens fills at the rate, up to the burst,
// and each restart takes one; where there is none they wait, and share what
// comes as package fair says. So a container that has run for long before it
// died waits for a token or two, however many flap.
//
// It is a value with a lock, not an actor: a restart that need not wait, and on
// a host without the option that is each, costs no message.
package budget
