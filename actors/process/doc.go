// Package process supervises one container: an instance of a process config.
//
// Its behaviour is a pure function of a state and an event, [Next], in the form
// of a table (transition.go, drawn in docs/process-states.md). A state is a step
// and a goal. The actor translates messages into events and runs the resulting
// effects; an effect that takes time reports with another event. Late answers and
// timers are dropped in one place, before anything of them is stored.
//
// The parts of the actor carry out the effects:
//
//   - restart: the wait for the next start; the arithmetic of it is a value, pacing;
//   - lease: the listening sockets;
//   - standby: the next container, built in advance;
//   - health: ready, healthcheck, watchdog, the limit of the set-up; the judgement
//     on a result is a value, checking;
//   - reports: messages of the program;
//   - serving: the report to the sandbox that it does;
//   - ending and obituary: how it is ended, how it died, and the notes of that.
//
// Choices of ours, where the manual is silent. A container with a changed config
// starts as soon as the old one is dead, without restart-timeout. PID 1 enforces
// its kill-timeout itself, so it gets one second more before it is killed from
// outside. A death by a TERM of others is no failure (N9), but PID 1's "did not
// die in time" is one unless TERM was ours (N6). A failed start is retried after
// a tenth of a second at the earliest, for any restart-timeout.
//
// The probes of ready and healthcheck (ours, docs/checks.md) run on goroutines,
// one at a time for a container; the actor has their timers and judges the
// results. Readiness is probed until the first success; only then the healthcheck
// begins. A probe that could not be made is no failure. A ready container stays
// ready for the next daemon, by the record; the count of failures, within and
// start-period start over. `ready: {fd: N}` has no probe: a pipe is read, which
// PID 1 keeps open, so that no write fails and no report is lost without a
// daemon. If it cannot be taken over, the container counts as ready, because no
// report could arrive. `ready: {notify: PATH}` is a socket, which has statuses,
// too; PID 1 keeps it open, and a message leaves it when it is recorded. An
// unhealthy container is ended and treated as one that failed by itself.
//
// With standby, the next container is built while this one runs, see standby.go.
package process
