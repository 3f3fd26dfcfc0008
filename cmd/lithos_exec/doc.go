// Command lithos_exec runs a program in a container that runs. Here are its
// flags, the search for the container and what is passed on; how it gets in is
// in spawn/enter.
//
// # What was chosen
//
//   - The container is found by the records in the runtime directory, which are
//     there with and without a daemon; the daemon is asked only for why something
//     does not run.
//   - The program gets the user, the rights and the workdir that the container's
//     program was started with, and that one's environment without the variables
//     about sockets: it is given none.
//   - As in lithos_cmd, it gets a terminal of its own if standard input and output
//     are terminals. It leads a session of its own there, so that Ctrl-Z is for
//     the jobs of a shell in it, as with ssh.
//   - Otherwise pipes and sockets are given to it as they are; for anything else
//     (files, a terminal, devices) it gets a pipe, and lithos_exec copies: a
//     program with the rights of user 0 could open a file of the host anew by its
//     descriptor (/proc/self/fd/0), for writing.
//   - When the program has ended, what it wrote is passed on to the end, and what
//     its children still write is not waited for.
//   - If lithos_exec is killed, the program gets TERM (a terminal's: HUP as well).
//   - It runs in the container's cgroups or not at all.
//   - After --timeout, or at SIGALRM, the program is killed with its session and
//     what descends from that: a check whose shell hangs must not leave a pile
//     behind.
package main
