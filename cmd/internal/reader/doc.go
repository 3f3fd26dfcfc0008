// Package reader reads the configs inside of images in a process of its own, with
// a time limit.
//
// The file system of an image may hang: an NFS server that is gone, a stopped
// FUSE program, a disk that does not answer. A thread that waits for it cannot be
// abandoned. Where the kernel waits uninterruptibly, not even SIGKILL ends it,
// neither an exec nor the exit of its process completes, and the pid file stays
// locked. So no thread of lithos_tree or of a command touches an image's config.
//
//	lithos_tree ── requests, a line of JSON each ─► itself as "lithos_images"
//	            ◄─ answers, in any order ──────────    a goroutine for each image
//
// The caller gives up after [Patience] without any answer. The unanswered
// requests are then problems of their images alone. The process keeps waiting for
// them. Until it answers, an image is not asked again, so that each one blocks at
// most one thread. The late answer is reported ([Reader].Answered).
//
// If such a process cannot be started, for lack of processes or descriptors, the
// files are read directly.
package reader
