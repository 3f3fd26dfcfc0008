// Command lithos_ps shows every instance that is configured, also those that
// don't run: it asks the daemon over its control socket, and adds threads and
// processes from /proc. It changes nothing.
//
// # What was chosen where the manual is silent
//
//   - Where no daemon answers, what runs is told by the records of the
//     containers in the runtime directory and by /proc, what should run by the
//     configs; the output says so. What is dead then is "stopped": nobody
//     starts it again.
//   - A process is one of a container if it descends from its PID 1. A number
//     of the cgroup (memory with its page cache, CPU time of all containers in
//     that place) goes before one that is summed up over processes.
//   - Containers of lithos_cmd are shown while they live.
//   - Whatever comes from a container or its config is taken as hostile: on a
//     terminal it moves no cursor.
//   - --verify looks at what runs and at the configs, not at what the daemon says it
//     did: it is for who does not take its word. Commands are left out.
//   - The exit code tells whether the answer was found, not whether it is good:
//     `lithos_switch` and the control socket are for that. Only --verify has 1 for a
//     difference.
package main
