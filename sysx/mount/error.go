package mount

import "strings"

// Error is a failed call.
type Error struct {
	Op     string // system call
	Path   string // the path of the call, if it has one
	Detail string // the kernel's own explanation, or ""
	Err    error  // a syscall.Errno
}

// Error is "op path: error (detail)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	b.WriteString(": " + e.Err.Error())
	if e.Detail != "" {
		b.WriteString(" (" + e.Detail + ")")
	}
	return b.String()
}

// Unwrap gives the error number.
func (e *Error) Unwrap() error { return e.Err }
