// Package rights is the upper bound of the rights of programs in containers. PID
// 1 applies it to the container's program, and package enter to a program that
// joins later. lithos_knot links it, so it stays small.
package rights

import (
	"golang.org/x/sys/unix"

	"lithos/sysx/cred"
)

// Bounding is the most that a program can have (requirement K10): what docker
// gives, less MKNOD, AUDIT_WRITE, NET_RAW and SYS_CHROOT.
var Bounding = cred.Of(unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_SETFCAP,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_KILL)

// Ambient is what a program has without being user 0: on a network of its own
// all ports are its own (requirement K9).
func Ambient(ownNetwork bool) cred.Set {
	if ownNetwork {
		return cred.Of(unix.CAP_NET_BIND_SERVICE)
	}
	return 0
}
