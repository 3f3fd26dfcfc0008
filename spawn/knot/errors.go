package knot

import (
	"errors"
	"syscall"
)

// wrapped is fmt.Errorf("text: %w") without fmt.
type wrapped struct {
	text string
	err  error
}

func (w *wrapped) Error() string { return w.text + ": " + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }

// wrap puts text in front of an error; nil stays nil.
func wrap(err error, text string) error {
	if err == nil {
		return nil
	}
	return &wrapped{text, err}
}

// hint adds what to do to an error with this error number.
func hint(err error, on syscall.Errno, advice string) error {
	if errors.Is(err, on) {
		return errors.New(err.Error() + "; " + advice)
	}
	return err
}
