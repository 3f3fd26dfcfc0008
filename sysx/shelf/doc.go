// Package shelf works on a directory that holds directories, some levels deep,
// which come and go as a whole: it lists them, tells whether one was changed
// lately, renames one in its place and removes it.
//
// All calls start at the descriptor of that directory and follow no symbolic link
// below it, so that no name and no swapped entry leads out of it. An entry is
// identified by device and inode as well; a replaced one is not touched.
//
// Scope: the calls. Out of scope: the choice of directories.
//
// Needs Linux 5.6 (openat2).
package shelf
