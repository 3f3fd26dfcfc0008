// Command lithos_cmd runs one command of a process config in a container of its
// own and exits with its code. This package has the flags, the real kernel, and
// the terminal; the work itself is in actors/command.
//
// # Choices where the manual is silent
//
//   - An interactive command started from a terminal gets a pseudo-terminal.
//     lithos_cmd copies input, output, window size, Ctrl-C and Ctrl-Z. The command
//     does not share the caller's terminal: an image is hostile, and a program can
//     type into its controlling terminal (TIOCSTI) commands for the caller's shell.
//   - It gets one only if both standard input and output are terminals. Otherwise
//     it inherits the caller's descriptors, in a session without a terminal.
//   - A limit that cannot be set is reported and the command runs, as with the
//     daemon's containers.
//   - On cgroup version 2 lithos_cmd stays in the group that it was started in. The
//     group of all containers and the sandbox's runtime directories remain after
//     the last command: a removal could take them from one that just starts.
package main
