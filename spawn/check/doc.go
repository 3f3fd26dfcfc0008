// Package check probes containers: do they serve?
//
// A container may be hostile. It is probed from its own network, by sockets made
// there, so that it cannot make the supervisor reach a service that it cannot
// reach itself. An answer is read up to a limit of size and time, and only
// numbers of it are passed on. Redirections are not followed.
//
// Scope: one probe. Out of scope: when, how often, and the consequences.
// lithos_exec runs a program in a container, see package enter; this package has
// the command line for it.
package check
