package main

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	"lithos/actors/services/api"
)

// flapping measures restarts of healthy containers among many that end at once,
// again and again, and among clients of the control socket that ask and don't
// read. Each of the healthy is killed once: one that is killed again and again
// is none.
func (b *bench) flapping() error {
	n, clients, healthy := b.pick(1000, 20), b.pick(50, 5), b.pick(40, 3)
	for _, variant := range []struct {
		name           string
		flaps, clients int
	}{{ours, 0, 0}, {ours + "-flapping", n, 0}, {ours + "-flapping+clients", n, clients}} {
		list := []process{{"app", "app", healthy}}
		if variant.flaps > 0 {
			list = append(list, process{"flap", "flap", variant.flaps})
		}
		h, err := b.startHost(b.o.bin, list...)
		if err != nil {
			return err
		}
		if _, err = h.started(healthy); err == nil {
			time.Sleep(time.Duration(b.pick(3000, 500)) * time.Millisecond)
			var close func()
			if close, err = slowClients(filepath.Join(h.run, api.SocketName), variant.clients); err == nil {
				for i, begin := 0, time.Now(); i < healthy && time.Since(begin) < 30*time.Second; i++ {
					b.kills(fmt.Sprintf("restart-latency-flap%d", n), h.subject(variant.name, i), 1)
				}
				close()
			}
		}
		if err := firstError(err, h.stop()); err != nil {
			return err
		}
	}
	return nil
}

// slowClients ask for all events and everything's state, and never read.
func slowClients(socket string, n int) (func(), error) {
	var all []net.Conn
	done := func() {
		for _, c := range all {
			c.Close()
		}
	}
	for i := range n {
		c, err := net.Dial("unix", socket)
		if err != nil {
			done()
			return nil, err
		}
		all = append(all, c)
		path := "/v1/events?since=0"
		if i%2 == 1 {
			path = "/v1/status"
		}
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: lithos\r\n\r\n", path); err != nil {
			done()
			return nil, err
		}
	}
	return done, nil
}
