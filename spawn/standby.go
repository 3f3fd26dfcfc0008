package spawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/sysx/deadline"
	"lithos/sysx/inroot"
)

// Standby is the next container of a name, built beside the one that runs: its
// PID 1 waits for the word before it starts the program (package knot). The zero
// value is an empty place for one.
//
//	Survey ─► Prepare ─► Hear ─► … Inspect ─► Start   it becomes the container
//	                                        └► Discard it is ended and removed
//
// It becomes the container only if that would be the very same: Start makes
// another one otherwise. Nobody else knows of it: its record and its state dir
// have names of their own, [standbyOf], until then, and PID 1 ends with the
// supervisor. Its processes are in no cgroup of the container's.
//
// A Standby must not be copied. Discard may be called at any time, from any
// goroutine; what is called afterwards does nothing.
type Standby struct {
	mu    sync.Mutex
	over  bool // it became the container, or was discarded
	built *built
	// stamps identify its inputs at the time of the build.
	stamps []stamp
}

// built is the finished standby.
type built struct {
	child            *Child
	socket, peer     *os.File // ours, and that at which its PID 1 waits
	key              uint64
	sockets          []*os.File
	head             records.Created // the inodes of what tells readiness
	forked           records.Forked
	record, stateDir string
	notify           string // "" = none
}

// ErrDiscarded is that there is no standby, and is to be none: it was discarded, or
// has become the container.
var ErrDiscarded = errors.New("the standby was discarded")

// stamp is a file or directory of the host, as it is known by a path. The content
// of a directory may change; that of a file is copied.
type stamp struct {
	path     string
	dev, ino uint64
	changed  unix.Timespec // zero for what is mounted, or written to
}

// looks are those at file systems, any of which may not answer.
var looks = deadline.Calls[string]{Limit: 5 * time.Second, Next: 100 * time.Millisecond}

// stampOf makes the stamp of a path; one that is not there is one, too.
func stampOf(path string, content bool) (stamp, error) {
	found, err := deadline.Call(&looks, path, func() (stamp, error) {
		s := stamp{path: path}
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil {
			return s, nil
		}
		s.dev, s.ino = st.Dev, st.Ino
		if content {
			s.changed = st.Ctim
		}
		return s, nil
	})
	if err != nil {
		return found, fmt.Errorf("%s does not answer", path)
	}
	return found, nil
}

// Survey notes what a container is made from, before it is. It may take its time,
// and is for any goroutine.
func (h *Standby) Survey(spec *Spec) error {
	var list []stamp
	note := func(path string, content bool) error {
		s, err := stampOf(path, content)
		list = append(list, s)
		return err
	}
	mounted := []string{spec.Image, spec.DevfsDir, spec.StdioLog}
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.Source != "" {
			mounted = append(mounted, v.Source)
			if v.SubPath != "" {
				mounted = append(mounted, filepath.Join(v.Source, v.SubPath))
			}
		}
	}
	for _, path := range mounted {
		if path == "" {
			continue
		}
		if err := note(path, false); err != nil {
			return err
		}
	}
	for _, path := range []string{spec.ResolvConf.Source, spec.Hosts.Source} {
		if path == "" {
			continue
		}
		if err := note(path, true); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stamps = list
	return nil
}

// connect makes the socket at which PID 1 waits.
func (b *built) connect(name string) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make its socket: %w", err)
	}
	b.peer = os.NewFile(uintptr(ends[1]), "standby")
	// A goroutine waits at ours, all of PID 1 at the other.
	if err := unix.SetNonblock(ends[0], true); err != nil {
		unix.Close(ends[0])
		b.peer.Close()
		return err
	}
	b.socket = os.NewFile(uintptr(ends[0]), "standby of "+name)
	return nil
}

// become gives it the place of the container, and says the word.
func (b *built) become(name, record, stateDir string, head records.Created) error {
	head.Notice, head.Notify = b.head.Notice, b.head.Notify
	text := records.CreatedLine(&head) + records.ForkedLine(b.forked)
	const flags = unix.O_WRONLY | unix.O_TRUNC | unix.O_APPEND | unix.O_NOFOLLOW
	f, err := open(b.record, flags)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if b.notify != "" {
		if err := os.Rename(b.notify, notifySocket(record, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(b.stateDir, stateDir); err != nil {
		return err
	}
	if err := os.Rename(b.record, record); err != nil {
		return err
	}
	return unix.Sendto(rawFD(b.socket), []byte{1}, unix.MSG_NOSIGNAL, nil)
}

// remove removes its files.
func (b *built) remove() error {
	errs := []error{inroot.RemoveAll(b.stateDir)}
	for _, path := range []string{b.record, b.notify} {
		if err := os.Remove(path); path != "" && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Hear waits, the first time, until the standby is built and waits, and then until
// it is none any more: the error says why; it may be because it was discarded, or
// has become the container.
func (h *Standby) Hear() error {
	h.mu.Lock()
	b := h.built
	h.mu.Unlock()
	if b == nil {
		return ErrDiscarded
	}
	if n, _ := b.socket.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return ErrDiscarded
	}
	if record, err := records.Read(b.record); err == nil && record.Failed != "" {
		return errors.New(record.Failed)
	}
	return errors.New("its PID 1 has ended")
}
