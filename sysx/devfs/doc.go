// Package devfs makes a small /dev for containers: a directory with the device
// nodes that any program may have, and none of the host's hardware.
//
// Scope: its entries. Out of scope: mounting it.
package devfs
