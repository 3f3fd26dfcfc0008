// Package inroot works on files below a directory whose content is not to be
// trusted: an image, a volume, a state directory.
//
// A path is looked up by the kernel with the directory as its root
// (openat2, RESOLVE_IN_ROOT), so that neither "..", nor an absolute symbolic
// link, nor one that is swapped meanwhile leads out of it; /proc's magic links
// are not followed.
//
// What belongs here: opening, making and removing below a descriptor. What
// does not: what the files are for.
//
// Needs Linux 5.6 (openat2); on an older kernel the calls fail with ENOSYS.
package inroot
