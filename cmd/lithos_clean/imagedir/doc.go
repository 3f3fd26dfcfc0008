// Package imagedir works on a directory that holds images, which are directories
// some levels deep and come and go as a whole: it lists them, tells whether one was
// changed lately, renames one in its place and removes it.
//
// Everything is done from the descriptor of the directory, and no symbolic link
// below it is followed: neither the name of an image, nor what is swapped
// meanwhile, leads out of it. An image is known by its device and inode too; one
// that is not the same any more is left alone.
//
// The calls belong here. Which of the images are to go is the caller's.
//
// Needs Linux 5.6 (openat2).
package imagedir
