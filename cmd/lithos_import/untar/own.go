package untar

import "golang.org/x/sys/unix"

// fileID tells files apart whatever path led to them.
type fileID struct{ dev, ino uint64 }

// entryID is a name in a directory. With an empty name it is the directory
// itself.
type entryID struct {
	dir  fileID
	name string
}

func idOf(fd int) (fileID, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return fileID{uint64(st.Dev), st.Ino}, err
}

// markDirectory remembers that this layer has a directory, and so the ones that
// it lies in. An identity that becomes free is taken again by nothing but an
// entry of this layer, so a mark never has to be removed.
func (u *unpacker) markDirectory(fd int) error {
	id, err := idOf(fd)
	if err != nil || u.own[entryID{dir: id}] {
		return err
	}
	u.own[entryID{dir: id}] = true
	if id == u.rootID {
		return nil
	}
	up, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(up)
	return u.markDirectory(up)
}
