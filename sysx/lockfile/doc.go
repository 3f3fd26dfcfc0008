// Package lockfile makes a file that at most one process holds at a time, such as
// a daemon's pid file.
//
// The lock is flock's and ends with its holder. So a stale pid in the file, even
// one that another process has by now, blocks nobody. A second lock waits for its
// holder, and [Holds] tells who holds a file.
//
// Scope: the lock and its file. Out of scope: the text in it.
package lockfile
