// Command lithos_ps shows every configured instance, also those that do not run:
// it asks the daemon over its control socket, and adds threads and processes from
// /proc. It changes nothing.
//
// # Choices where the manual is silent
//
//   - Without a daemon, the records in the runtime directory and /proc tell which
//     containers run, and the configs which should; the output says so. A dead
//     instance is "stopped" then, because nobody restarts it.
//   - A process belongs to a container if it descends from its PID 1. Usage comes
//     from the cgroup if it has one (memory with page cache, CPU time of all
//     containers at that place), otherwise from the sum over the processes.
//   - Containers of lithos_cmd are shown while they live.
//   - Text from a container or its config is hostile and is escaped on a terminal.
//   - --verify compares the containers with the configs and does not ask the daemon:
//     it is a second opinion. Commands are left out.
//   - The exit code tells whether the state was found, not whether it is good: see
//     `lithos_switch` and the control socket. Only --verify exits 1 for a difference.
package main
