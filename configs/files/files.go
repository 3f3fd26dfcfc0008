package files

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/configs/document"
)

// ReadHost reads a config of the host: a regular file of a bounded size.
func ReadHost(file string) ([]byte, error) {
	fd, err := RetryEINTR(func() (int, error) {
		return unix.Open(file, unix.O_PATH|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readDescriptor(fd)
}

// Image is an image directory that is being read.
type Image struct{ fd int }

// OpenImage opens the directory NAME below an image directory. Symbolic links
// below image-dir are refused: an image is named by its own name, so that
// lithos_clean sees what is used, and what is inside one image can't pose as
// another. image-dir itself may be reached by links, it is the maintainer's.
func OpenImage(imageDir, name string) (Image, error) {
	dir, err := OpenDir(imageDir)
	if err != nil {
		return Image{}, err
	}
	defer unix.Close(dir)
	fd, err := Openat2(dir, name, unix.O_PATH|unix.O_DIRECTORY,
		unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
	switch {
	case errors.Is(err, unix.ELOOP):
		return Image{}, fmt.Errorf("%s/%s is, or is reached by, a symbolic link; name the image's directory itself", imageDir, name)
	case errors.Is(err, unix.ENOTDIR):
		return Image{}, fmt.Errorf("%s/%s is not a directory", imageDir, name)
	case errors.Is(err, unix.ENOENT):
		return Image{}, fmt.Errorf("%s/%s does not exist", imageDir, name)
	case err != nil:
		return Image{}, fmt.Errorf("cannot open %s/%s: %w", imageDir, name, err)
	}
	return Image{fd}, nil
}

// OpenDir opens an image-dir.
func OpenDir(imageDir string) (int, error) {
	fd, err := RetryEINTR(func() (int, error) {
		return unix.Open(imageDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, fmt.Errorf("cannot open the image-dir %s: %w", imageDir, err)
	}
	return fd, nil
}

// FD is the directory, opened with O_PATH.
func (i Image) FD() int { return i.fd }

// Close closes the directory.
func (i Image) Close() { unix.Close(i.fd) }

// ReadFile reads a config inside the image, which is hostile: links are
// resolved as the container would, with the image as the root, and nothing is
// opened for reading before it is known to be a regular file.
func (i Image) ReadFile(file string) ([]byte, error) {
	fd, err := Openat2(i.fd, file, unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readDescriptor(fd)
}

// LinkOn tells of the first symbolic link on the way to a file that could not be
// read, "" if there is none: what looks right from outside may lead to nowhere in
// the image.
func (i Image) LinkOn(file string) string {
	parts := strings.Split(strings.Trim(file, "/"), "/")
	const most = 32 // a path from a config
	for n := 1; n <= len(parts) && n <= most; n++ {
		name := strings.Join(parts[:n], "/")
		fd, err := Openat2(i.fd, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
		if err != nil {
			return ""
		}
		target := make([]byte, unix.PathMax)
		k, err := unix.Readlinkat(fd, "", target) // fails for what is no link
		unix.Close(fd)
		if err == nil {
			return fmt.Sprintf("; /%s is a symbolic link to %s, and links of an image are followed inside of it only", document.Clip(name), document.Clip(string(target[:k])))
		}
	}
	return ""
}

// Openat2 opens name below dir. It is in Linux since 5.6; there is no other
// safe way, so without it there is an error that says so.
func Openat2(dir int, name string, flags, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	var fd int
	var err error
	// EAGAIN means that something was renamed meanwhile, which a hostile
	// process could do for ever.
	for range 100 {
		fd, err = unix.Openat2(dir, name, &how)
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
	}
	if err == unix.ENOSYS {
		return -1, errors.New("this kernel has no openat2 system call, Linux 5.14 or newer is needed")
	}
	return fd, err
}

// readDescriptor reads the file that an O_PATH descriptor stands for.
func readDescriptor(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("it is %s, a config must be a regular file", fileType(st.Mode))
	}
	if st.Size > document.MaxSize {
		return nil, fmt.Errorf("the file has %d bytes, a config may have at most %d", st.Size, document.MaxSize)
	}
	f, err := RetryEINTR(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	defer unix.Close(f)
	return readAtMost(f, int(st.Size), document.MaxSize)
}

// readAtMost reads a file to its end, whose size was expected a moment ago but
// may be another by now.
func readAtMost(fd, expected, most int) ([]byte, error) {
	data := make([]byte, 0, expected+1)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := RetryEINTR(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, err
		}
		data = data[:len(data)+n]
		switch {
		case len(data) > most:
			return nil, fmt.Errorf("the file has more than %d bytes, which is the limit of a config", most)
		case n == 0:
			return data, nil
		}
	}
}

func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "not a file"
}

// RetryEINTR makes a system call again as long as a signal interrupts it.
func RetryEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Missing tells whether an error says that a file does not exist.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
