// Package lockfile makes a file that at most one process holds at a time, as a
// daemon's pid file has to be.
//
// The lock is flock's: it ends with its holder, however that ends, so a pid
// that is left in the file and used again by another process blocks nobody.
// Beside it are a lock that is waited for, and the question who holds a file.
// What belongs here: the lock and its file. What is written in it: the caller's.
package lockfile
