// Package cred is about who a thread or a new process is: user and group ids,
// supplementary groups, capability sets, no_new_privs.
//
// What belongs here: the calls and the order that the kernel wants them in.
// What does not: which identity a container gets.
package cred
