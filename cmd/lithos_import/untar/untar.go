package untar

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Options bound an archive.
type Options struct {
	MaxBytes   int64 // of all files of this archive together
	MaxEntries int
	Privileged bool // keep set-user-id, set-group-id and file capabilities
}

// Result counts what was unpacked and what was left out.
type Result struct {
	Entries    int
	Bytes      int64 // of all files, holes included
	Devices    []string
	SetID      int // files whose set-id bits were taken off
	Attributes int // extended attributes that were left out
	Once       int // entries that give something else when they are applied again
}

// Error is an entry that can't be unpacked.
type Error struct {
	Name string // as in the archive
	Err  error
}

// Error is `"name": error`.
func (e *Error) Error() string { return fmt.Sprintf("%q: %s", clip(e.Name), e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

func clip(name string) string {
	const most = 200
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

// Whiteouts, OCI image-spec layer.md.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	reserved = ".wh..wh."
)

// Apply unpacks one archive below the directory root, to its end. An error of
// the reader comes back as it is.
//
// Preconditions: root is owned by the caller, who may change owners (root), and
// nobody else writes below it.
func Apply(root int, r io.Reader, o Options) (Result, error) {
	u := unpacker{root: root, o: o, own: map[entryID]bool{}, no: map[entryID]bool{}, dir: -1}
	defer u.forget()
	var err error
	if u.rootID, err = idOf(root); err != nil {
		return u.done, err
	}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u.done, err
		}
		if err := u.entry(h, archive); err != nil {
			return u.done, err
		}
	}
	return u.done, u.dates()
}

// unpacker is one call of Apply.
type unpacker struct {
	root   int
	rootID fileID
	o      Options
	done   Result
	own    map[entryID]bool // of this layer, see mark
	no     map[entryID]bool // devices that were left out
	when   []dated          // directories, whose times are set at the end

	// The directory of the last entry: files come many to one.
	dirName string
	dir     int // -1 = none
	dirID   fileID
}

type dated struct {
	name  string
	times [2]unix.Timespec
}

// forget closes the kept directory; whatever removes or replaces something may
// have made it another one.
func (u *unpacker) forget() {
	if u.dir >= 0 {
		unix.Close(u.dir)
		u.dir = -1
	}
}

// entry unpacks one.
func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader, tar.TypeXHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
		return nil
	}
	u.done.Entries++
	if u.done.Entries > u.o.MaxEntries {
		return &Error{h.Name, fmt.Errorf("more than %d entries", u.o.MaxEntries)}
	}
	name, err := clean(h.Name)
	if err == nil {
		err = u.put(name, h, body)
	}
	if _, ours := errors.AsType[*readError](err); ours || err == nil {
		return err
	}
	return &Error{h.Name, err}
}

// Errors of names.
var (
	errUp      = errors.New("has .. in its name, which would lead out of the directory")
	errLong    = errors.New("its name is longer than 4095 bytes")
	errMarker  = errors.New("is not the name of a whiteout")
	errRoot    = errors.New("would replace the root directory")
	errLink    = errors.New("is a hard link to itself")
	errNegSize = errors.New("has a negative size")
)

// clean gives a name without leading and doubled slashes and dots, "." for the
// root.
func clean(name string) (string, error) {
	if len(name) >= unix.PathMax {
		return "", errLong
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return "", errUp
		}
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "."
	}
	return name, nil
}

// put makes the file of a header at that name.
func (u *unpacker) put(name string, h *tar.Header, body io.Reader) error {
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errRoot
		}
		return u.directory(name, h)
	}
	base := path.Base(name)
	if strings.HasPrefix(base, whiteout) {
		return u.white(path.Dir(name), base)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(name, h)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, h, body)
	case tar.TypeSymlink:
		return u.symlink(name, h)
	case tar.TypeLink:
		return u.link(name, h)
	case tar.TypeFifo:
		return u.fifo(name, h)
	case tar.TypeChar, tar.TypeBlock:
		return u.device(name)
	}
	return fmt.Errorf("is of the unknown type %q", h.Typeflag)
}

// readError is one of the archive's reader, which is not about an entry.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }
