// Command lithos_cmd runs one command of a process config in a container of its
// own and ends with its exit code. Here are its flags, the real kernel, and the
// terminal; what it does is in actors/command.
//
// # What was chosen where the manual is silent
//
//   - An interactive command that is started from a terminal gets a
//     pseudo-terminal of its own, and lithos_cmd passes on what goes in and comes
//     out, the size of the window, Ctrl-C and Ctrl-Z. It does not share the
//     caller's terminal: an image is hostile, and a program can put input into
//     its controlling terminal (TIOCSTI), which the caller's shell would run.
//   - It gets one only if both standard input and output are terminals;
//     otherwise it gets the caller's descriptors as they are, in a session
//     without a terminal.
//   - Limits that can't be applied are told, and the command runs: as the
//     daemon's containers do.
//   - On cgroup version 2 lithos_cmd itself stays in the group that it was started
//     in. The group of all containers, and the sandbox's directories in the
//     runtime directory, stay when the last command has ended: to remove them
//     could take them from another that is just starting.
package main
