// Command lithos_clean shows which images are used or not, and removes those
// that are not. Which ones the configs and their history ask to keep is said
// by configs/images; here are the flags, what runs on this machine at this
// moment (inuse.go), and the order of steps that makes a removal safe beside
// everything that goes on meanwhile (remove.go). What may be on a file system that
// does not answer is looked at by look.go, in a process apart.
package main
