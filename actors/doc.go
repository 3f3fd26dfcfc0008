// Package actors holds what the daemon's actors share: the [Kernel] that they
// act through, the actor system made safe to use, and the counters.
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
// The folder services has what they publish to and ask, none of which is an
// actor. The packages fakekernel and simulation are for tests.
//
// An actor makes no system call but through the Kernel, and reads no file
// format: a simulation can take the kernel's place. The exceptions are the
// daemon's own log files.
package actors
