// Package process supervises one container: an instance of a process config.
//
// What it does next is a pure function of its state and an event, [Next], and
// that function is a table (transition.go, drawn in docs/process-states.md): a
// state is a step and the goal that follows it. The actor translates messages
// into events and runs the effects that come back; an effect that takes time
// reports with another event. Answers and timers that come too late are dropped in
// one place, before anything of them is stored.
//
// How an effect is done is in a part of the actor:
//
//   - restart: the wait for the next start; the arithmetic of it is a value, pacing;
//   - lease: the listening sockets;
//   - standby: the next container, built in advance;
//   - health: ready, healthcheck, watchdog, the limit of the set-up; the judgement
//     on a result is a value, checking;
//   - reports: what the program says of itself;
//   - serving: the report to the sandbox that it does;
//   - ending and obituary: how it is ended, how it died and what is noted of that.
//
// Choices of ours, where the manual is silent: a container whose config
// changed is replaced at once when the old one is dead, without waiting for
// restart-timeout; PID 1 gets one second more than its kill-timeout before it
// is killed from outside, since it does the killing itself; a death on TERM
// that nobody here sent is no failure (N9), but PID 1's "did not die in time"
// is one unless TERM was ours (N6); a start that came to no process is tried
// again after a tenth of a second at the earliest, whatever restart-timeout is.
//
// The checks of ready and healthcheck (ours, docs/checks.md) are asked on
// goroutines, one at a time for a container; the actor has their timers and
// judges the answers. A container is asked whether it is ready until it is, once;
// only from then on its healthcheck counts. What could not be asked is no
// failure. What was ready stays so for the next daemon, by the record; it counts
// failures, within and start-period anew. With `ready: {fd: N}` nobody asks: a pipe
// is read, which the container keeps open itself, so that neither writing to it
// fails nor what was written is lost while no daemon is there; one that can't be
// taken over then counts as ready, since nobody would ever hear of it. With
// `ready: {notify: PATH}` it is a socket, which is read for a status, too; PID 1
// keeps it open, and a message leaves it when the record has what it says. An
// unhealthy container is ended and goes the way of one that failed by itself.
//
// With standby, the next container is built while this one runs, see standby.go.
package process
