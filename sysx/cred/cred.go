package cred

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// Set is a set of capabilities, bit n for capability n.
type Set uint64

// Of makes a set of unix.CAP_… numbers.
func Of(caps ...int) Set {
	var s Set
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has tells whether one capability is in the set.
func (s Set) Has(c int) bool { return s&(1<<c) != 0 }

// Identity is the identity of a program.
type Identity struct {
	UID, GID uint32
	// Bounding is the most that the program or anything it executes can ever
	// have. A program of user 0 has all of it, any other nothing.
	Bounding Set
	// Ambient is the set that a program of another user than 0 has and passes on
	// to programs it executes.
	Ambient Set
	// InUserNS says that a step before has entered a user namespace, which
	// gives back all that the bounding set had lost.
	InUserNS bool
	// NewPrivileges leaves no_new_privs out: programs with a setuid bit or
	// file capabilities give what they say, within Bounding.
	NewPrivileges bool
	// Filter is a seccomp program, "" = none. It has to allow the calls that
	// come after it, above all execve.
	Filter string
}

// AddTo adds the steps by which a child takes the identity for good: the
// bounding set reduced, inheritable and ambient sets and the supplementary
// groups empty, the ids set, no_new_privs, the filter. Steps that need privileges come
// before.
//
// Preconditions: the child has CAP_SETPCAP, CAP_SETGID and CAP_SETUID.
func (id Identity) AddTo(p *forkexec.Plan) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	p.Grow(64)
	known, has := inherited()
	for c := 0; c < 64; c++ {
		if known.Has(c) && (has.Has(c) || id.InUserNS) && !id.Bounding.Has(c) {
			p.Raw(dropNames[c], unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c))
		}
	}
	if id.NewPrivileges && id.Filter != "" {
		p.Seccomp(id.Filter) // while there is CAP_SYS_ADMIN
	}
	p.Capset(both(data[0].Effective, data[1].Effective), both(data[0].Permitted, data[1].Permitted), 0)
	p.Prctl("PR_CAP_AMBIENT", unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	p.ClearGroups()
	p.Setresgid(id.GID)
	id.setUser(p)
	if id.NewPrivileges {
		return nil
	}
	p.Prctl("PR_SET_NO_NEW_PRIVS", unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if id.Filter != "" {
		p.Seccomp(id.Filter)
	}
	return nil
}

// setUser sets the user id; that clears all capabilities of any other than 0
// unless they are kept, and then they are permitted only.
func (id Identity) setUser(p *forkexec.Plan) {
	if id.UID == 0 || id.Ambient == 0 {
		p.Setresuid(id.UID)
		return
	}
	p.Prctl("PR_SET_KEEPCAPS", unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
	p.Setresuid(id.UID)
	p.Capset(uint64(id.Ambient), uint64(id.Ambient), uint64(id.Ambient))
	for c := 0; c < 64; c++ {
		if id.Ambient.Has(c) {
			p.Prctl("PR_CAP_AMBIENT_RAISE "+strconv.Itoa(c), unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0)
		}
	}
}

// dropNames are of the steps that drop a capability: some thirty in each start.
var dropNames = func() (names [64]string) {
	for c := range names {
		names[c] = "prctl PR_CAPBSET_DROP " + strconv.Itoa(c)
	}
	return names
}()

func both(low, high uint32) uint64 { return uint64(high)<<32 | uint64(low) }

// inherited are the capabilities that the kernel knows, and those of them that
// are in the bounding set of this process. It is asked once: 41 system calls are
// too many for each start, and nobody gives a capability back to that set. One
// that this process drops later is dropped once more, which is no error.
var inherited = sync.OnceValues(func() (known, has Set) {
	for c := 0; c < 64; c++ {
		n, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			break // one past the last
		}
		known |= 1 << c
		if n == 1 {
			has |= 1 << c
		}
	}
	return known, has
})
