package knot

import (
	"errors"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
)

const (
	stateMode  = 0o1777 // the container's users may write there
	parentMode = 0o755
	fileMode   = 0o644
)

// makeStateDir makes the state dir anew, with resolv.conf and hosts in it. It
// was writable for the container that had it before.
func (b *builder) makeStateDir() error {
	path := b.spec.StateDir
	if err := inroot.RemoveAll(path); err != nil {
		return wrap(err, "cannot clear the state dir")
	}
	fd, err := mkdirHost(path, inroot.Owner{Mode: stateMode})
	if err != nil {
		return wrap(err, "cannot make the state dir "+path)
	}
	b.state = fd
	if err := b.makeResolvConf(); err != nil {
		return err
	}
	return b.makeHosts()
}

// mkdirHost makes a directory of the host, whose path is trusted.
func mkdirHost(path string, o inroot.Owner) (int, error) {
	root, err := openHost("/")
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	fd, _, err := inroot.MkdirAll(root, path, o)
	return fd, err
}

// makeResolvConf makes what is to be mounted, or what the image's symbolic link
// to the state dir leads to.
func (b *builder) makeResolvConf() error {
	r := &b.spec.ResolvConf
	if r.Source == "" && r.Mount != wire.MountAlways {
		return nil
	}
	f, err := b.createInState("resolv.conf")
	if err != nil {
		return err
	}
	defer unix.Close(f)
	if r.Source == "" {
		return nil
	}
	_, err = copyInto(f, r.Source)
	return wrap(err, "cannot copy "+r.Source+" for the container's resolv.conf")
}

// makesHosts tells whether there is a hosts file to make.
func makesHosts(h *wire.Hosts) bool {
	return h.Source != "" || h.Localhost || h.PublicHostname || len(h.Additional) != 0 || h.Mount == wire.MountAlways
}

func (b *builder) makeHosts() error {
	h := &b.spec.Hosts
	if !makesHosts(h) {
		return nil
	}
	f, err := b.createInState("hosts")
	if err != nil {
		return err
	}
	defer unix.Close(f)
	b.haveHosts = true
	var text []byte
	if h.Source != "" {
		last, err := copyInto(f, h.Source)
		if err != nil {
			return wrap(err, "cannot copy "+h.Source+" for the container's hosts file")
		}
		if last != '\n' {
			text = append(text, '\n')
		}
	}
	text = appendHosts(text, h)
	return wrap(writeAll(f, text), "cannot write the container's hosts file")
}

// createInState makes a file in the still empty state dir.
func (b *builder) createInState(name string) (int, error) {
	fd, err := unix.Openat(b.state, name,
		unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
	if err == nil {
		err = unix.Fchmod(fd, fileMode)
	}
	return fd, wrap(err, "cannot make "+b.spec.StateDir+"/"+name)
}

// copyInto copies a file of the host, without holding it in memory, and gives
// its last byte ('\n' if it is empty).
func copyInto(f int, source string) (last byte, err error) {
	src, err := unix.Open(source, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, errors.New("it is no regular file")
	}
	buf := make([]byte, 4096)
	last = '\n'
	for {
		n, err := unix.Read(src, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return last, err
		}
		if err := writeAll(f, buf[:n]); err != nil {
			return last, err
		}
		last = buf[n-1]
	}
}

// writeAll is write(2) until all is written.
func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// etcFile is a file of the state dir that may be mounted in /etc.
type etcFile struct {
	name string
	auto bool // there is something to replace the image's file with
	how  wire.Mount
}

// mountEtc mounts resolv.conf and hosts over files of the image, or of a
// volume mounted on /etc.
func (b *builder) mountEtc() error {
	for _, f := range []etcFile{
		{"resolv.conf", b.spec.ResolvConf.Source != "", b.spec.ResolvConf.Mount},
		{"hosts", b.haveHosts, b.spec.Hosts.Mount},
	} {
		if err := b.mountEtcFile(f); err != nil {
			return wrap(err, "cannot mount the made "+f.name+" on "+b.spec.MountDir+"/etc/"+f.name)
		}
	}
	return nil
}

func (b *builder) mountEtcFile(f etcFile) error {
	if f.how == wire.MountNever || f.how == wire.MountAuto && !f.auto {
		return nil
	}
	target, err := b.openEtc(f.name)
	if err != nil {
		return err
	}
	if target < 0 {
		if f.how == wire.MountAuto {
			return nil
		}
		return errors.New("/etc must be a directory with a regular file of that name, no symbolic links (image " +
			b.spec.Image + "); put one there, or don't set mount to true")
	}
	defer unix.Close(target)
	source, err := inroot.Open(b.state, f.name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	fd, err := mount.Clone(source, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := mount.SetAttr(fd, volumeAttr, 0, false); err != nil {
		return err
	}
	return mount.Move(fd, target)
}

// openEtc opens /etc/NAME of the container if it is a regular file in a real
// directory; -1 if it is something else. Links are left alone: they are how an
// image refers to files in a Statedir.
func (b *builder) openEtc(name string) (int, error) {
	etc, err := unix.Openat(b.root, "etc", unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		return -1, nil
	default:
		return -1, err
	}
	defer unix.Close(etc)
	file, err := unix.Openat(etc, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(file, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(file)
		return -1, err
	}
	return file, nil
}
