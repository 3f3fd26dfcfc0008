package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/configs/document"
	"lithos/configs/files"
)

// program follows what execve will: the file, its architecture, and what runs
// it, which is a script's interpreter or a dynamic program's loader. by is the
// file that needs this one, "" for the executable itself.
func (i *inspection) program(at document.Place, file, by string, depth int) {
	const deepest = 5 // as the kernel
	what := document.Clip(file)
	if by != "" {
		what = "the interpreter of " + document.Clip(by) + ", " + document.Clip(file) + ","
	}
	if depth > deepest {
		i.content.ErrorAt(at, "%s is a script that is run by a script, and so on", what)
		return
	}
	name := file
	if !path.IsAbs(name) {
		name = path.Join(i.c.Workdir, name)
	}
	f, err := i.view.lookup(name)
	if err != nil {
		i.tell(i.content, at, what+" is missing"+dosLine(file)+i.nearby(name), err)
		return
	}
	defer f.close()
	if !i.executable(at, what, f) {
		return
	}
	head, err := openHead(f)
	if err != nil {
		i.content.WarnAt(at, "cannot read %s: %s", what, err)
		return
	}
	defer head.close()
	interpreter, wrong := head.interpreter()
	switch {
	case wrong != "" && i.foreign():
		i.content.WarnAt(at, "%s %s; this host has handlers in binfmt_misc, one may run it", what, wrong)
	case wrong != "":
		i.content.ErrorAt(at, "%s %s", what, wrong)
	case interpreter != "" && head.script:
		i.program(at, interpreter, f.path, depth+1)
	case interpreter != "":
		i.loader(at, interpreter, f.path)
	}
}

// nearby suggests a file of the same directory, as the end of a sentence.
func (i *inspection) nearby(name string) string {
	const most = 1000
	f, err := i.view.lookup(path.Dir(name))
	if err != nil {
		return ""
	}
	defer f.close()
	dir, err := os.Open("/proc/self/fd/" + strconv.Itoa(f.fd))
	if err != nil {
		return ""
	}
	defer dir.Close()
	base := path.Base(name)
	names, _ := dir.Readdirnames(most)
	names = slices.DeleteFunc(names, func(n string) bool { return n[0] != base[0] || len(n) > len(base)+2 })
	slices.Sort(names)
	if s := document.Suggest(base, names); s != "" {
		return " (did you mean " + document.Clip(path.Join(path.Dir(name), s)) + "?)"
	}
	return ""
}

// loader looks at a dynamic program's loader, which has none itself.
func (i *inspection) loader(at document.Place, file, by string) {
	name := file
	if !path.IsAbs(name) {
		name = path.Join(i.c.Workdir, name)
	}
	f, err := i.view.lookup(name)
	if err != nil {
		i.tell(i.content, at, fmt.Sprintf("the loader of %s, %s, is missing", document.Clip(by), document.Clip(file)), err)
		return
	}
	defer f.close()
	i.executable(at, fmt.Sprintf("the loader of %s, %s,", document.Clip(by), document.Clip(file)), f)
}

// executable tells whether there is a file that execve would take.
func (i *inspection) executable(at document.Place, what string, f *found) bool {
	var fs unix.Statfs_t
	switch {
	case f.fd < 0: // in a directory that is made at the start
		i.content.ErrorAt(at, "%s is a directory", what)
	case !f.is(unix.S_IFREG):
		i.content.ErrorAt(at, "%s is no regular file", what)
	case f.st.Mode&0o111 == 0:
		i.content.ErrorAt(at, "%s is not executable (mode %04o): chmod +x", what, f.st.Mode&0o7777)
	case f.on.noExec:
		i.content.ErrorAt(at, "%s lies on %s, which is mounted noexec, see the volume option exec", what, f.on.what)
	case unix.Fstatfs(f.fd, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0:
		i.content.ErrorAt(at, "%s lies on a file system of the host that is mounted noexec", what)
	case !i.may(f, 1):
		i.content.WarnAt(at, "%s may not execute %s (mode %04o, owner %d:%d)", i.user(), strings.TrimSuffix(what, ","),
			f.st.Mode&0o7777, f.st.Uid, f.st.Gid)
		return true
	default:
		return true
	}
	return false
}

func dosLine(file string) string {
	if strings.HasSuffix(file, "\r") {
		return " (the lines of the script end as in DOS files)"
	}
	return ""
}

// foreignFormats tells whether programs of other formats may be run.
func foreignFormats() bool {
	entries, _ := os.ReadDir("/proc/sys/fs/binfmt_misc")
	return len(entries) > len([]string{"register", "status"})
}

// head is the beginning of a program. Its parser is our own: it looks at a few
// fields only, and a hostile file costs it nothing.
type head struct {
	fd     int
	bytes  []byte
	script bool
}

const (
	headSize  = 256       // the part that the kernel reads, in a script too
	maxHeader = 64 * 1024 // of program headers, as the kernel
)

func openHead(f *found) (*head, error) {
	fd, err := files.RetryEINTR(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(f.fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	h := &head{fd: fd}
	if h.bytes, err = h.read(0, headSize); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *head) close() { unix.Close(h.fd) }

// read reads at most n bytes from an offset.
func (h *head) read(offset int64, n int) ([]byte, error) {
	buf := make([]byte, n)
	got := 0
	for got < n {
		k, err := files.RetryEINTR(func() (int, error) { return unix.Pread(h.fd, buf[got:], offset+int64(got)) })
		if err != nil {
			return nil, err
		}
		if k <= 0 {
			break
		}
		got += k
	}
	return buf[:got], nil
}

// interpreter is what runs the program, "" if nothing does; wrong says why the
// kernel would not run it.
func (h *head) interpreter() (file, wrong string) {
	switch {
	case len(h.bytes) == 0:
		return "", "is empty"
	case bytes.HasPrefix(h.bytes, []byte("#!")):
		h.script = true
		line, _, _ := bytes.Cut(h.bytes[2:], []byte("\n"))
		first, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimLeft(string(line), " \t"), "\t", " "), " ")
		if first == "" {
			return "", "is a script without an interpreter in its first line"
		}
		return first, ""
	case !bytes.HasPrefix(h.bytes, []byte("\x7fELF")):
		return "", "is neither a program nor a script with #! in its first line"
	}
	return h.elf()
}

// Of the ELF format (gabi, chapters 4 and 5).
const (
	elfClass32, elfClass64   = 1, 2
	elfLittle                = 1
	elfExecutable, elfShared = 2, 3
	elfInterp                = 3
)

var machines = map[uint16]string{
	2: "sparc", 3: "x86 (32 bit)", 8: "mips", 20: "powerpc", 21: "powerpc64", 22: "s390x", 40: "arm (32 bit)",
	62: "x86-64", 183: "aarch64", 243: "riscv", 258: "loongarch",
}

// native are the machines whose programs this one may run.
var native = map[string][]uint16{"amd64": {62, 3}, "arm64": {183, 40}}

// elf finds the loader of a program of this machine.
func (h *head) elf() (loader, wrong string) {
	if len(h.bytes) < 64 {
		return "", "is a damaged ELF file"
	}
	class, order := h.bytes[4], binary.ByteOrder(binary.LittleEndian)
	if h.bytes[5] != elfLittle {
		order = binary.BigEndian
	}
	kind, machine := order.Uint16(h.bytes[16:]), order.Uint16(h.bytes[18:])
	ours := native[runtime.GOARCH]
	if ours == nil {
		return "", "" // nobody knows
	}
	if h.bytes[5] != elfLittle || machine != ours[0] && machine != ours[1] {
		name := machines[machine]
		if name == "" {
			name = fmt.Sprintf("machine %d", machine)
		}
		return "", fmt.Sprintf("is a program for %s, this machine is %s", name, machines[ours[0]])
	}
	if kind != elfExecutable && kind != elfShared {
		return "", "is an ELF file, but no program (an object file?)"
	}
	return h.loader(order, class)
}

// loader finds PT_INTERP among the program headers.
func (h *head) loader(order binary.ByteOrder, class byte) (file, wrong string) {
	const broken = "is a damaged ELF file"
	var offset uint64
	var size, count, want int
	switch class {
	case elfClass64:
		offset, size, count, want = order.Uint64(h.bytes[32:]), int(order.Uint16(h.bytes[54:])), int(order.Uint16(h.bytes[56:])), 56
	case elfClass32:
		offset, size, count, want = uint64(order.Uint32(h.bytes[28:])), int(order.Uint16(h.bytes[42:])), int(order.Uint16(h.bytes[44:])), 32
	}
	if want == 0 || size != want || count == 0 || size*count > maxHeader || offset > 1<<62 {
		return "", broken
	}
	table, err := h.read(int64(offset), size*count)
	if err != nil || len(table) < size*count {
		return "", broken
	}
	for ; len(table) > 0; table = table[size:] {
		if order.Uint32(table) != elfInterp {
			continue
		}
		from, length := uint64(order.Uint32(table[4:])), uint64(order.Uint32(table[16:]))
		if class == elfClass64 {
			from, length = order.Uint64(table[8:]), order.Uint64(table[32:])
		}
		if from > 1<<62 || length < 2 || length > unix.PathMax {
			return "", broken
		}
		text, err := h.read(int64(from), int(length))
		if err != nil || len(text) < int(length) || text[length-1] != 0 {
			return "", broken
		}
		name, _, _ := bytes.Cut(text, []byte{0})
		return string(name), ""
	}
	return "", ""
}
