package rotate

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// attribute is where the state of a file is kept, and what is in a part. Only who
// has CAP_SYS_ADMIN in the first user namespace can read or write one of these.
const attribute = "trusted.rotation"

// maxAttribute is more than any that was written here has, bytes.
const maxAttribute = 512

// phase is how far a rotation has come, see the package.
type phase string

const (
	whole  phase = "whole"
	dead   phase = "dead"
	marked phase = "marked"
	hole   phase = "hole"
)

// state is the state of a file.
type state struct {
	phase  phase
	id     string // of the file as long as nobody else empties it; "" = never rotated
	base   int64  // bytes that were taken out of it, in all its life
	start  int64  // where the lines begin that are in no other file
	blocks int64  // bytes that are being taken out
	mark   string // written over the head before the collapse
}

// span is what is in a part: bytes of the file with this id, by the offsets of End.
type span struct {
	id       string
	from, to int64
}

func (s state) String() string {
	return fmt.Sprintf("1 %s %d %d %d %s %s", s.phase, s.base, s.start, s.blocks, s.id, s.mark)
}

// parseState takes what it can't understand, or what can't be, for nothing.
func parseState(text string) state {
	none := state{phase: whole}
	var s state
	n, _ := fmt.Sscanf(text, "1 %s %d %d %d %s %s", &s.phase, &s.base, &s.start, &s.blocks, &s.id, &s.mark)
	if n < 5 || s.base < 0 || s.start < 0 || s.blocks < 0 || s.blocks > s.start || len(s.id) != markLength {
		return none
	}
	switch s.phase {
	case whole, dead, hole:
		if s.mark != "" || s.blocks != 0 {
			return none
		}
	case marked:
		if len(s.mark) != markLength || s.blocks == 0 {
			return none
		}
	default:
		return none
	}
	return s
}

func (p span) String() string { return fmt.Sprintf("1 part %d %d %s", p.from, p.to, p.id) }

func parseSpan(text string) span {
	var p span
	if n, _ := fmt.Sscanf(text, "1 part %d %d %s", &p.from, &p.to, &p.id); n != 3 || p.from < 0 || p.to < p.from || len(p.id) != markLength {
		return span{}
	}
	return p
}

func readState(fd int) (state, error) {
	buf := make([]byte, maxAttribute)
	n, err := unix.Fgetxattr(fd, attribute, buf)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ERANGE) {
		n, err = 0, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("cannot read the attribute %s of the file: %w", attribute, err)
	}
	return parseState(string(buf[:n])), nil
}

// spanOf tells what is in a part; the zero span if it is none, or none that was
// made here.
func spanOf(path string) span {
	buf := make([]byte, maxAttribute)
	n, err := unix.Lgetxattr(path, attribute, buf)
	if err != nil {
		return span{}
	}
	return parseSpan(string(buf[:n]))
}

// note keeps a state.
func (f *File) note(s state) error {
	f.point("note " + string(s.phase))
	if err := unix.Fsetxattr(f.fd(), attribute, []byte(s.String()), 0); err != nil {
		return fmt.Errorf("cannot write the attribute %s of the file: %w", attribute, err)
	}
	f.state = s
	return nil
}

// like gives a new file the owner and the mode of the old one.
func (f *File) like(out *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd(), &st); err != nil {
		return err
	}
	if err := out.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return out.Chmod(os.FileMode(st.Mode & 0o777))
}
