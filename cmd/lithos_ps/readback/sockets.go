package readback

import (
	"fmt"
	"net/netip"
	"os"

	"lithos/configs"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

// CompareSockets looks at the listening sockets of the host's network that a
// container inherited; PID 1 keeps copies of them. Any program that shares one can
// change it for all others. What a program may well set for itself, O_NONBLOCK among
// it, is no difference.
func CompareSockets(pid1 int, c *configs.Container) ([]Difference, error) {
	var addrs []netip.AddrPort
	var ports []configs.TCPPort
	for _, p := range c.TCPPorts {
		if c.Network == nil || p.External {
			ports, addrs = append(ports, p), append(addrs, netip.AddrPortFrom(p.Host, p.Port))
		}
	}
	if len(ports) == 0 {
		return nil, nil
	}
	pidfd, err := proc.OpenPIDFD(pid1)
	if err != nil {
		return nil, err
	}
	defer pidfd.Close()
	files, errs := sock.TakeFrom(pid1, pidfd, addrs...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("its sockets cannot be looked at: %w", errs[0])
	}
	d := &differences{}
	for i, file := range files {
		if file != nil {
			defer file.Close()
		}
		d.socket("the listening socket of "+addrs[i].String(), ports[i], file)
	}
	return d.list, nil
}

func (d *differences) socket(what string, asked configs.TCPPort, file *os.File) {
	if file == nil {
		d.add(what, "passed to the program", "")
		return
	}
	if accepts, err := sock.Accepts(file); err == nil && !accepts {
		d.add(what, "accepts connections", "shut down by a program that shares it, shutdown(2)")
	}
	if nonBlock, err := sock.NonBlocking(file); err == nil && asked.NonBlock && !nonBlock {
		d.add(what, "non-blocking", "blocking, as a program that shares it has set it")
	}
}
