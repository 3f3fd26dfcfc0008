package main

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// tellSystemd says that the daemon is up, by the protocol of sd_notify(3), where
// systemd (Type=notify) asked to be told. A package for that is not worth its
// place: it is one datagram.
func tellSystemd() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(path, "@"); ok {
		path = "\x00" + rest // in the abstract namespace
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = fmt.Fprintf(c, "READY=1\nSTATUS=lithos_tree %s\nMAINPID=%d\n", version, os.Getpid())
		_ = c.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot tell systemd that the daemon is up: %w", err)
	}
	return nil
}
