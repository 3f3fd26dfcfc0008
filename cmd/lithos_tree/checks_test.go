package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn/records"
)

// A container whose program was not started yet can't have answered: no check
// of any kind counts against it.
func TestCheck_BeforeTheProgramIsStarted(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(closed.Addr().String())
	closed.Close()
	record := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(record, []byte(records.ForkedLine(records.Forked{PID: os.Getpid(), StartTime: 1})), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []configs.Check{
		{Kind: configs.CheckTCP, Addr: address},
		{Kind: configs.CheckHTTP, Addr: address, Path: "/"},
		{Kind: configs.CheckCommand, Command: []string{"/bin/true"}},
	} {
		c.Timeout = time.Second
		if err := new(kernel).check(t.Context(), "box/app.0", record, &c); !errors.Is(err, actors.ErrNotAsked) {
			t.Errorf("%s: %v, want %v", c.What(), err, actors.ErrNotAsked)
		}
	}
}
