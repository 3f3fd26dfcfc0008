package proc

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// kernelLog is the only source of this information.
const kernelLog = "/dev/kmsg"

const (
	maxMessage = 8192 // bytes, more than the kernel makes them
	// The clock of the kernel's log is not quite the monotonic one.
	clockSlack = time.Minute
)

// OOMKilled tells whether the kernel says in its log that it killed a process,
// which is dead and had been forked then, for want of memory; false where the
// log can't be read, or has forgotten. A wait status alone can't tell that
// from anybody else's SIGKILL.
//
// Preconditions: the caller is in the first pid namespace: the pids in the log
// are that one's.
func OOMKilled(pid int, forked time.Time) bool {
	log, err := os.OpenFile(kernelLog, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer log.Close()
	conn, err := log.SyscallConn()
	if err != nil {
		return false
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return false
	}
	since := time.Duration(now.Nano()) - time.Since(forked) - clockSlack
	found := false
	message := make([]byte, maxMessage)
	_ = conn.Control(func(fd uintptr) {
		for !found {
			n, err := unix.Read(int(fd), message)
			if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) {
				continue // it was overwritten: on with the next one
			}
			if err != nil || n <= 0 {
				return // EAGAIN: that was the last
			}
			found = killsForMemory(message[:n], pid, since)
		}
	})
	return found
}

// killsForMemory understands one message of /dev/kmsg: "6,339,5140900,-;text",
// the third field is microseconds since boot.
func killsForMemory(message []byte, pid int, since time.Duration) bool {
	head, text, ok := bytes.Cut(message, []byte{';'})
	fields := bytes.Split(head, []byte{','})
	// The first field is one digit where it is the kernel that speaks.
	if !ok || len(fields) < 3 || len(fields[0]) != 1 {
		return false
	}
	// The text after the pid is a name that the process chose.
	how, whom, ok := bytes.Cut(text, []byte(" process "))
	if !ok || !bytes.Contains(how, []byte("ut of memory")) || !bytes.HasPrefix(whom, []byte(strconv.Itoa(pid)+" (")) {
		return false
	}
	at, err := strconv.ParseInt(string(fields[2]), 10, 64)
	return err == nil && time.Duration(at)*time.Microsecond >= since
}
