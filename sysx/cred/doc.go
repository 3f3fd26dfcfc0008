// Package cred sets the identity of a thread or a new process: user and group
// ids, supplementary groups, capability sets, no_new_privs.
//
// Scope: the calls, in the order that the kernel requires. Out of scope: the
// choice of an identity.
package cred
