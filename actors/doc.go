// Package actors holds the common parts of the daemon's actors: the [Kernel] that
// they act through, the actor system made safe to use, and the counters.
//
// The actors are in packages of their own:
//
//   - root: the desired plan, the table pid → process actor, signals, shutdown;
//   - sandbox: one a sandbox, its log files and its instances;
//   - process: one an instance, a pure transition function and its effects;
//   - listener: listening sockets and the leases on them;
//   - spawner: the only place that forks;
//   - command: one run of lithos_cmd.
//
// The folder services has the packages that they publish to and ask, none of
// which is an actor. The packages fakekernel and simulation are for tests.
//
// An actor makes system calls only through the Kernel, which a simulation can
// replace, and reads no file format. The exceptions are the daemon's own log
// files.
package actors
