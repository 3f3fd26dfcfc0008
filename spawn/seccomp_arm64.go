package spawn

import "golang.org/x/sys/unix"

// allowedHere has another name on this architecture.
var allowedHere = []uint32{unix.SYS_FSTATAT}

var deniedHere, rawIO []uint32
