package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fuse is a file system of this process that shows a directory of the host,
// read-only, and can be told to answer nothing any more: as one whose server is
// gone. It speaks to the kernel without a library, since it needs so little of
// the protocol (linux/fuse.h, version 7.31).
type fuse struct {
	t     *testing.T
	dev   *os.File
	point string

	mu    sync.Mutex
	hangs bool
	only  string            // a name: only who looks that up has no answer
	held  [][]byte          // requests that were taken and not answered
	late  *time.Timer       // ends it
	nodes map[uint64]string // paths by number; 1 is the root
	ids   map[string]uint64
}

// The operations that are known; others get ENOSYS.
const (
	fuseLookup, fuseForget, fuseGetattr, fuseReadlink = 1, 2, 3, 5
	fuseOpen, fuseRead, fuseStatfs, fuseRelease       = 14, 15, 17, 18
	fuseFlush, fuseInit, fuseOpendir, fuseReaddir     = 25, 26, 27, 28
	fuseReleasedir, fuseAccess, fuseInterrupt         = 29, 34, 36
	fuseBatchForget                                   = 42
)

// mountFUSE shows source at point, which is made. This process must not open a file
// of it: Go's runtime asks the kernel to poll it, the kernel asks this process
// whether there is something to read, and until it answers, no thread of the runtime
// gets on; nor must a fork of it have one open, since it closes that, and asks.
func mountFUSE(t *testing.T, source, point string) *fuse {
	t.Helper()
	must(t, mkdir(point))
	// A node of our own: that in /dev may come with the module only.
	node := point + ".fuse"
	must(t, unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 229))))
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, os.Remove(node))
	if err != nil {
		t.Fatalf("this test needs the kernel's FUSE: %v", err)
	}
	f := &fuse{
		t: t, dev: os.NewFile(uintptr(fd), "/dev/fuse"), point: point,
		nodes: map[uint64]string{1: source}, ids: map[string]uint64{source: 1},
	}
	must(t, unix.Mount("lithos-e2e", point, "fuse", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd)))
	served := make(chan struct{})
	go func() {
		defer close(served)
		f.serve(fd)
	}()
	t.Cleanup(func() {
		f.answer()
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Errorf("cannot unmount %s: %v", point, err)
		}
		// Other mount namespaces that still have the mount get errors from here
		// on; without any, the read has ended.
		<-served
		must(t, f.dev.Close())
	})
	return f
}

// longestHang is for how long at most a file system hangs. A test that comes to
// wait for it itself, when it looks at a process that does, would never end: not
// even by a time limit, since the kernel waits for the answer.
const longestHang = 5 * time.Minute

// hang takes requests from here on and answers none, or none that looks up the
// name.
func (f *fuse) hang(only ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hangs, f.only = true, strings.Join(only, "")
	f.late = time.AfterFunc(longestHang, func() {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		f.t.Errorf("%s hung for longer than any test needs; what went on:\n%s", f.point, &stacks)
		f.answer()
	})
}

// holds tells whether a request is not to be answered. The lock is held.
func (f *fuse) holds(op uint32, in []byte) bool {
	switch {
	case !f.hangs, op == fuseRelease, op == fuseReleasedir:
		return false
	case f.only != "":
		return op == fuseLookup && strings.TrimRight(string(in), "\x00") == f.only
	}
	return true
}

// answer continues, with what was asked meanwhile first.
func (f *fuse) answer() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hangs = false
	if f.late != nil {
		f.late.Stop()
	}
	for _, request := range f.held {
		f.handle(request)
	}
	f.held = nil
}

// asked is how many requests wait for an answer.
func (f *fuse) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

// await waits until so many requests wait for an answer.
func (f *fuse) await(n int) {
	f.t.Helper()
	eventually(f.t, "requests to the file system", 20*time.Second, func() error {
		if asked := f.asked(); asked < n {
			return fmt.Errorf("%d requests", asked)
		}
		return nil
	})
}

func (f *fuse) serve(fd int) {
	buf := make([]byte, 256<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR || err == unix.ENOENT || err == unix.EAGAIN {
			continue // ENOENT: what was asked is not wanted any more
		}
		if err != nil {
			return // ENODEV: it is unmounted everywhere
		}
		request := append([]byte(nil), buf[:n]...)
		f.mu.Lock()
		switch op := binary.NativeEndian.Uint32(request[4:]); {
		case op == fuseForget, op == fuseBatchForget, op == fuseInterrupt:
		case f.holds(op, request[40:]):
			f.held = append(f.held, request)
		default:
			f.handle(request)
		}
		f.mu.Unlock()
	}
}

// handle answers a request. The lock is held.
func (f *fuse) handle(request []byte) {
	ne := binary.NativeEndian
	op, unique, node, in := ne.Uint32(request[4:]), ne.Uint64(request[8:]), ne.Uint64(request[16:]), request[40:]
	data, err := f.do(op, f.nodes[node], in)
	errno := unix.Errno(0)
	if err != nil && !errors.As(err, &errno) {
		errno = unix.EIO
	}
	out := ne.AppendUint32(nil, uint32(16+len(data)))
	out = ne.AppendUint32(out, uint32(-int32(errno)))
	out = append(ne.AppendUint64(out, unique), data...)
	_, _ = unix.Write(int(f.dev.Fd()), out) // the caller may be gone
}

func (f *fuse) do(op uint32, path string, in []byte) (out []byte, err error) {
	ne := binary.NativeEndian
	switch op {
	case fuseInit:
		out = make([]byte, 64)
		ne.PutUint32(out, 7)
		ne.PutUint32(out[4:], 31)
		copy(out[8:12], in[8:12]) // max_readahead
		ne.PutUint16(out[16:], 16)
		ne.PutUint16(out[18:], 12)
		ne.PutUint32(out[20:], 4096) // max_write
		ne.PutUint32(out[24:], 1)    // time_gran
		return out, nil
	case fuseLookup:
		name := strings.TrimRight(string(in), "\x00")
		child := filepath.Join(path, name)
		attr, err := fuseAttr(child)
		if err != nil {
			return nil, err
		}
		id, ok := f.ids[child]
		if !ok {
			id = uint64(len(f.ids) + 1)
			f.ids[child], f.nodes[id] = id, child
		}
		// Valid for no time: each lookup is asked for.
		return append(append(ne.AppendUint64(nil, id), make([]byte, 32)...), attr...), nil
	case fuseGetattr:
		attr, err := fuseAttr(path)
		return append(make([]byte, 16), attr...), err
	case fuseReadlink:
		target, err := os.Readlink(path)
		return []byte(target), err
	case fuseOpen:
		const keepCache = 2 // running programs need no answer for each page
		out = make([]byte, 16)
		ne.PutUint32(out[8:], keepCache)
		return out, nil
	case fuseRead:
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		out = make([]byte, ne.Uint32(in[16:]))
		n, err := file.ReadAt(out, int64(ne.Uint64(in[8:])))
		if n > 0 || err.Error() == "EOF" {
			err = nil
		}
		return out[:n], err
	case fuseOpendir:
		return make([]byte, 16), nil
	case fuseStatfs:
		return make([]byte, 80), nil
	case fuseFlush, fuseRelease, fuseReleasedir, fuseAccess, fuseReaddir:
		return nil, nil
	}
	return nil, unix.ENOSYS
}

// fuseAttr is a struct fuse_attr.
func fuseAttr(path string) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, err
	}
	var out []byte
	ne := binary.NativeEndian
	for _, n := range []uint64{st.Ino, uint64(st.Size), uint64(st.Blocks), uint64(st.Atim.Sec), uint64(st.Mtim.Sec), uint64(st.Ctim.Sec)} {
		out = ne.AppendUint64(out, n)
	}
	for _, n := range []uint32{
		uint32(st.Atim.Nsec), uint32(st.Mtim.Nsec), uint32(st.Ctim.Nsec),
		st.Mode, uint32(st.Nlink), st.Uid, st.Gid, 0, 4096, 0,
	} {
		out = ne.AppendUint32(out, n)
	}
	return out, nil
}
