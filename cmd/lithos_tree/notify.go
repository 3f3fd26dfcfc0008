package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// tellSystemd says that the daemon is up, and tellReloading that another takes
// over and will say so, by the protocol of sd_notify(3), where
// systemd (Type=notify) asked to be told. A package for that is not worth its
// place: it is one datagram.
func tellSystemd() error {
	if err := notify(fmt.Sprintf("READY=1\nSTATUS=lithos_tree %s\nMAINPID=%d\n", version, os.Getpid())); err != nil {
		return fmt.Errorf("cannot tell systemd that the daemon is up: %w", err)
	}
	return nil
}

func tellReloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	return notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\n", now.Nano()/1000))
}

func notify(text string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(path, "@"); ok {
		path = "\x00" + rest // in the abstract namespace
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(text))
	return errors.Join(err, c.Close())
}
