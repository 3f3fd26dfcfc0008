// Command lithos_exec runs a program in a running container. This package has its
// flags, the search for the container, and the transfer of its input and output;
// package enter joins the container.
//
// # Choices
//
//   - The records in the runtime directory tell which container to join, with or
//     without a daemon. The daemon is asked only why an instance does not run.
//   - The program gets the user, rights, workdir and environment of the
//     container's program, without its sockets and the variables about them.
//   - It gets a terminal of its own if standard input and output are terminals, as
//     in lithos_cmd. It leads a session there, so that Ctrl-Z reaches the jobs of
//     a shell in it, as with ssh.
//   - It inherits pipes and sockets. Files, terminals and devices are replaced by a
//     pipe, and lithos_exec copies: a program with the rights of user 0 could
//     reopen a host file by its descriptor (/proc/self/fd/0), for writing.
//   - All output of the program is copied after its exit; output of its children
//     after that is dropped.
//   - If lithos_exec is killed, the program gets TERM, on a terminal HUP as well.
//   - It runs in the container's cgroups or not at all.
//   - After --timeout, or at SIGALRM, the program is killed with its session and
//     all descendants, so that probes whose shell hangs do not pile up.
package main
