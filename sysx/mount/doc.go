// Package mount wraps the system calls of the new mount API, and the two of the
// old one that it needs: one function for each call or fixed chain of calls,
// EINTR retried, typed errors.
//
// The functions take descriptors, so that the caller looks a path up once, in a
// safe way. They act on the mount namespace of the calling thread.
//
// Scope: the calls and their error texts. Out of scope: which
// file systems a container has, and with which flags.
//
// Needs Linux 5.12 (mount_setattr); on an older kernel the calls fail with
// ENOSYS.
package mount
