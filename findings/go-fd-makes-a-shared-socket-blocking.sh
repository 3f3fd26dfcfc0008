#!/usr/bin/env bash
# Go's net.FileListener makes the listening socket that it is given non-blocking,
# and (*os.File).Fd() of a file from (*net.TCPListener).File() makes it blocking
# again: O_NONBLOCK belongs to the open file description, which File() only
# duplicates. So a program that asks for the number of its listener's descriptor,
# to log it or to pass it on, changes the socket for all processes that share it.
# SyscallConn() tells the number without that.
#
# Seen with go 1.26:
#   given: blocking
#   after net.FileListener: non-blocking
#   after File().SyscallConn(): non-blocking
#   after File().Fd(): blocking
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/main.go" <<'EOF'
package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	// A second descriptor of the same description, as another process would have it.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(err)
	check(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(syscall.Listen(fd, 9))
	other, err := syscall.Dup(fd)
	check(err)
	say := func(when string) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(other), syscall.F_GETFL, 0)
		if errno != 0 {
			panic(errno)
		}
		state := "blocking"
		if flags&syscall.O_NONBLOCK != 0 {
			state = "non-blocking"
		}
		fmt.Printf("%s: %s\n", when, state)
	}
	say("given")
	l, err := net.FileListener(os.NewFile(uintptr(fd), "given"))
	check(err)
	say("after net.FileListener")
	f, err := l.(*net.TCPListener).File()
	check(err)
	c, err := f.SyscallConn()
	check(err)
	check(c.Control(func(uintptr) {}))
	say("after File().SyscallConn()")
	f.Fd()
	say("after File().Fd()")
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
EOF
(cd "$dir" && go mod init finding >/dev/null 2>&1 && go build -o finding .)
"$dir/finding" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
given: blocking
after net.FileListener: non-blocking
after File().SyscallConn(): non-blocking
after File().Fd(): blocking
EOF
