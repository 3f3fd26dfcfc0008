package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// handoverVariable is where a program that is executed finds its [handover].
const handoverVariable = "LITHOS_TREE_HANDOVER"

// handoverVersion is the format of a handover. Fields and files may be added
// without another number: who does not know them passes over them, and who
// misses them does without. All else is in the files that a killed daemon leaves
// as well: the kept plan, which has a number of its own, and the records.
const handoverVersion = 1

// handover is what a lithos_tree leaves to the one that takes its process over
// (requirement O2): what can't be had from files.
type handover struct {
	Version int      `json:"version"`
	Release string   `json:"release"` // that hands over
	Path    string   `json:"path"`    // of lithos_tree, for the next upgrade
	Args    []string `json:"args"`    // of the one that hands over, to hand back
	// Generation is that of the last reading of the configs.
	Generation uint64 `json:"generation"`
	// Files are open descriptors, see the constants.
	Files map[string]int `json:"files"`
	// Holder is the pid of the child that keeps signals for the next one.
	Holder int `json:"holder,omitempty"`
	// Readers are children that wait for the file systems of images, and end
	// when these answer.
	Readers []int `json:"readers,omitempty"`
	// Refused is why the one that was to take over could not: it has handed
	// back.
	Refused string `json:"refused,omitempty"`

	files map[string]*os.File
}

// The names of the files.
const (
	filePID      = "pid-file"     // locked
	fileControl  = "control"      // the listening control socket
	fileProgram  = "program"      // of the one that hands over, to hand back
	fileHold     = "hold-signals" // its end ends the hold
	fileHoldMask = "hold-answer"  // the output of the holder
)

// takeHandover is what the program before this one in the same process has left;
// nil if there was none. No child sees it.
func takeHandover() (*handover, error) {
	text := os.Getenv(handoverVariable)
	if text == "" {
		return nil, nil
	}
	if err := os.Unsetenv(handoverVariable); err != nil {
		return nil, err
	}
	h := &handover{files: make(map[string]*os.File)}
	err := json.Unmarshal([]byte(text), h)
	if err == nil && h.Version != handoverVersion {
		err = fmt.Errorf("it has the format %d, this release knows %d", h.Version, handoverVersion)
	}
	for name, fd := range h.Files {
		if fd <= 2 {
			continue
		}
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), name)
		switch name {
		case filePID, fileControl, fileProgram, fileHold, fileHoldMask:
			h.files[name] = f
		default:
			_ = f.Close()
		}
	}
	if err != nil {
		h.close()
		return nil, fmt.Errorf("cannot use the handover of the earlier lithos_tree in %s: %w", handoverVariable, err)
	}
	return h, nil
}

// take gives a file to who continues with it, nil if there is none.
func (h *handover) take(name string) *os.File {
	if h == nil {
		return nil
	}
	f := h.files[name]
	delete(h.files, name)
	return f
}

// close releases all, also of the signals; there is no way back after that.
func (h *handover) close() {
	if h == nil {
		return
	}
	for name := range h.files {
		_ = h.take(name).Close()
	}
}

// pack prepares the files and the variable for the next program, which is executed
// at once.
func (h *handover) pack(files map[string]*os.File) ([]string, error) {
	h.Version, h.Release, h.Args, h.Files = handoverVersion, version, os.Args, make(map[string]int)
	for name, f := range files {
		fd, err := keepOpen(f)
		if err != nil {
			return nil, err
		}
		h.Files[name] = fd
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(os.Environ(), handoverVariable+"="+string(text)), nil
}

// keepOpen has a file stay open over an exec.
func keepOpen(f *os.File) (fd int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = errors.Join(c.Control(func(n uintptr) {
		fd = int(n)
		_, err = unix.FcntlInt(n, unix.F_SETFD, 0)
	}), err)
	if err != nil {
		return 0, fmt.Errorf("cannot keep %s open: %w", f.Name(), err)
	}
	return fd, nil
}

// ownProgram opens this program's file, which may have no name by now.
func ownProgram() (*os.File, error) {
	fd, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "this program"), nil
}

// programName sets the name that ps and pkill show, which is a number after an
// exec by descriptor.
func programName() {
	_ = os.WriteFile("/proc/self/comm", []byte("lithos_tree"), 0)
}

// findProgram is where this program was started from: the name that was used, if
// it leads to it, so that a link which is made to lead elsewhere is followed.
func findProgram() (path string, file fs.FileInfo, err error) {
	if file, err = os.Stat("/proc/self/exe"); err != nil {
		return "", nil, err
	}
	if path, err = os.Executable(); err != nil {
		return "", nil, err
	}
	if name := os.Args[0]; strings.HasPrefix(name, "/") {
		if named, err := os.Stat(name); err == nil && os.SameFile(named, file) {
			path = name
		}
	}
	return path, file, nil
}

func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// sameProgram tells whether a file is the same, with the same content.
func sameProgram(a, b fs.FileInfo) bool {
	x, ok1 := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && x.Dev == y.Dev && x.Ino == y.Ino && x.Size == y.Size && x.Mtim == y.Mtim
}
