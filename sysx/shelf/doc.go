// Package shelf works on a directory that holds directories, some levels deep,
// which come and go as a whole: it lists them, tells whether one was changed
// lately, renames one in its place and removes it.
//
// Everything is done from the descriptor of that directory, and no symbolic
// link below it is followed: neither the name of an entry, nor what is swapped
// meanwhile, leads out of it. An entry is known by its device and inode too; one
// that is not the same any more is left alone.
//
// What belongs here: the calls. What does not: which of the directories are to
// go.
//
// Needs Linux 5.6 (openat2).
package shelf
