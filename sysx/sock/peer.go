package sock

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is who is at the other end of a Unix socket, as the kernel knows it
// from the time of the connect.
type Peer struct {
	PID      int
	UID, GID uint32
	Groups   []uint32 // supplementary ones
}

// PeerOf asks for the peer of a connected Unix socket.
func PeerOf(conn syscall.Conn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("cannot tell who the peer of a socket is: %w", err)
	}
	var p Peer
	var asked error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); asked == nil {
			p.PID, p.UID, p.GID = int(cred.Pid), cred.Uid, cred.Gid
			p.Groups, asked = peerGroups(fd)
		}
	})
	if err = errors.Join(err, asked); err != nil {
		return Peer{}, fmt.Errorf("cannot tell who the peer of a socket is: %w", err)
	}
	return p, nil
}

// peerGroups is SO_PEERGROUPS, Linux 4.13.
func peerGroups(fd uintptr) ([]uint32, error) {
	groups := make([]uint32, 64)
	for range 2 {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			return groups[:size/4], nil
		}
		if errno != unix.ERANGE {
			return nil, errno
		}
		groups = make([]uint32, size/4)
	}
	return nil, unix.ERANGE
}
