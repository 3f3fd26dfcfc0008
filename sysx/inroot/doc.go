// Package inroot works on files below a directory whose content is not to be
// trusted: an image, a volume, a state directory.
//
// The kernel looks each path up with the directory as its root (openat2,
// RESOLVE_IN_ROOT). Neither "..", nor an absolute symbolic link, nor one that is
// swapped during the lookup leads out of it. Magic links of /proc are not
// followed.
//
// Scope: opening, making and removing below a descriptor. Out of scope:
// what the files are for.
//
// Needs Linux 5.6 (openat2); on an older kernel the calls fail with ENOSYS.
package inroot
