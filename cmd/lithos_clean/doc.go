// Command lithos_clean lists used and unused images and removes the unused ones.
//
// configs/images says which images the configs and their history keep. This
// package has the flags, the images in use on this machine (inuse.go), and the
// steps that make a removal safe beside reloads, switches and uploads
// (remove.go). A process apart inspects file systems that may not answer
// (look.go).
package main
