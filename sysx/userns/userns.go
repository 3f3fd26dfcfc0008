package userns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// Map is one line of a uid_map or gid_map.
type Map struct{ Inside, Outside, Count uint32 }

// Options say what to make.
type Options struct {
	// UIDs and GIDs are the maps of a new user namespace; both empty = none.
	UIDs, GIDs []Map
	// Network makes a network namespace, which belongs to the new user
	// namespace, or to the caller's if there is no new one.
	Network bool
}

// Namespaces are open namespaces; nil = not asked for. They live as long as a
// descriptor or a process holds them.
type Namespaces struct{ User, Network *os.File }

// Close releases them.
func (n *Namespaces) Close() {
	for _, f := range []*os.File{n.User, n.Network} {
		if f != nil {
			f.Close()
		}
	}
}

// Make makes the namespaces of the options.
//
// Preconditions: CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID, and a /proc of the
// caller's pid namespace.
func Make(o Options) (*Namespaces, error) {
	var flags uint64
	mapped := len(o.UIDs)+len(o.GIDs) > 0
	if mapped {
		flags |= syscall.CLONE_NEWUSER
	}
	if o.Network {
		flags |= syscall.CLONE_NEWNET
	}
	held, err := forkexec.Hold(flags)
	if err != nil {
		return nil, fmt.Errorf("cannot make a %s: %w%s", kind(mapped), err, advice(err))
	}
	defer held.End()
	n := &Namespaces{}
	if mapped {
		if err := writeMaps(held.PID, o); err != nil {
			return nil, err
		}
		if n.User, err = open(held.PID, "user"); err != nil {
			return nil, err
		}
	}
	if o.Network {
		if n.Network, err = open(held.PID, "net"); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

func kind(user bool) string {
	if user {
		return "user namespace"
	}
	return "network namespace"
}

func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return " (the host has no more: sysctl user.max_user_namespaces, user.max_net_namespaces)"
	case errors.Is(err, unix.EPERM):
		return " (it needs root, outside of any chroot)"
	case errors.Is(err, unix.EINVAL):
		return " (the kernel was built without them)"
	}
	return ""
}

func writeMaps(pid int, o Options) error {
	for _, m := range []struct {
		file string
		ids  []Map
	}{{"uid_map", o.UIDs}, {"gid_map", o.GIDs}} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, m.file), format(m.ids), 0); err != nil {
			return fmt.Errorf("cannot write the %s: %w", strings.Replace(m.file, "_", "-", 1), err)
		}
	}
	return nil
}

// format is the whole map for one write, which is all that the kernel takes.
func format(ids []Map) []byte {
	var b []byte
	for _, m := range ids {
		b = fmt.Appendf(b, "%d %d %d\n", m.Inside, m.Outside, m.Count)
	}
	return b
}

func open(pid int, name string) (*os.File, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		return nil, fmt.Errorf("cannot open a new namespace: %w", err)
	}
	return f, nil
}
