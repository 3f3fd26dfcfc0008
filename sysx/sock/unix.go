package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// Unix is a listening Unix socket with a name in the file system.
type Unix struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	keep bool // the name stays
}

// maxUnixPath is the longest name that the kernel takes, less what is added to
// it while the socket is made.
const maxUnixPath = 107 - len(unixTemporary)

const unixTemporary = ".new"

// ListenUnix makes a listening Unix socket of that mode and group (-1 = the
// caller's). It takes the place of a socket that is there already, in one
// step; anything else that is there is an error. That nobody listens on the
// old one is for the caller to know.
func ListenUnix(path string, mode fs.FileMode, gid int) (*Unix, error) {
	if len(path) > maxUnixPath {
		return nil, fmt.Errorf("cannot listen on %s: the name of a socket has at most %d bytes, this has %d", path, maxUnixPath, len(path))
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("cannot listen on %s: something else than a socket is there; move it away", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	// Under another name until it has its owner and mode.
	temporary := path + unixTemporary
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	u := &Unix{UnixListener: l, path: path}
	err = os.Chmod(temporary, mode)
	if err == nil && gid >= 0 {
		err = os.Chown(temporary, -1, gid)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		u.file, err = os.Lstat(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on %s: %w", path, err), l.Close(), os.Remove(temporary))
	}
	return u, nil
}

// InheritUnix continues with a socket that this process had before an exec, by
// the name that it has. It takes the file, also with an error.
func InheritUnix(path string, socket *os.File, mode fs.FileMode, gid int) (*Unix, error) {
	defer socket.Close()
	l, err := net.FileListener(socket)
	if err != nil {
		return nil, fmt.Errorf("cannot go on with the socket %s: %w", path, err)
	}
	u := &Unix{path: path}
	ok := false
	if u.UnixListener, ok = l.(*net.UnixListener); !ok || u.Addr().String() != path+unixTemporary {
		return nil, errors.Join(fmt.Errorf("cannot go on with the socket %s: it is another one, %s", path, l.Addr()), l.Close())
	}
	u.SetUnlinkOnClose(false)
	if u.file, err = os.Lstat(path); err == nil {
		err = os.Chmod(path, mode)
	}
	if err == nil && gid >= 0 {
		err = os.Chown(path, -1, gid)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot go on with the socket %s: %w", path, err), l.Close())
	}
	return u, nil
}

// KeepName has Close leave the name: another has the socket, too.
func (u *Unix) KeepName() { u.keep = true }

// Close closes the socket and removes its name, unless it is another's by now.
func (u *Unix) Close() error {
	err := u.UnixListener.Close()
	if u.keep {
		return err
	}
	if now, statErr := os.Lstat(u.path); statErr == nil && os.SameFile(now, u.file) {
		if gone := os.Remove(u.path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
