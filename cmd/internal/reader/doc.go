// Package reader reads the configs inside of images by a process of its own,
// for a limited time: the file system of an image may hang (an NFS server that
// is gone, a FUSE program that is stopped, a disk that does not answer), and a
// thread that waits for one can't be given up. Not even SIGKILL ends it where
// the kernel waits uninterruptibly, and then neither an exec nor the end of its
// process is ever complete: the pid file would stay locked. So no thread of
// lithos_tree or a command ever touches an image's config.
//
//	lithos_tree ── requests, a line of JSON each ─► itself as "lithos_images"
//	            ◄─ answers, in any order ──────────    a goroutine for each image
//
// Who calls gives up when nothing at all has been answered for [Patience].
// What is unanswered then is a problem of those images alone. The process stays
// until they answer: meanwhile they are not asked again, so there is at most one
// thread for each of them, and their late answer is told ([Reader].Answered).
//
// Where such a process can't be had, for want of processes or descriptors, the
// files are read without.
package reader
