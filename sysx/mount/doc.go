// Package mount wraps the system calls of the new mount API, and the two of
// the old one that it leans on: one function a call (or a fixed chain of
// calls), EINTR retried, typed errors.
//
// All work is done on descriptors, so that a path is looked up once, by the
// caller, in whatever way is safe for it. The functions act on the mount
// namespace of the calling thread.
//
// What belongs here: the calls and their error texts. What does not: which
// file systems a container has, and with which flags.
//
// Needs Linux 5.12 (mount_setattr); on an older kernel the calls fail with
// ENOSYS.
package mount
