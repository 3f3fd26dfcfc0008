// Package devfs makes a small /dev for containers: a directory with the device
// nodes that any program may have, and nothing of the host's hardware.
//
// What belongs here: what is in it and how it is made. What does not: mounting
// it.
package devfs
