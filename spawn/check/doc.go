// Package check asks containers whether they serve.
//
// A container may be hostile. It is asked from the network that its program is
// in, with sockets that are made there, so it can't have the supervisor reach
// what it can't reach itself. An answer is read up to a limit, in size and in
// time, and only numbers of it are passed on. Redirections are not followed.
//
// What belongs here: asking once. When, how often and what follows: not. To run
// a program in a container is the work of lithos_exec, see package enter; here
// is how it is started for that.
package check
