// Package spare reserves a few descriptors for calls that must not fail when the
// process, or the host, has none left.
package spare

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// Files are descriptors that stand for nothing. A nil Files is an empty one.
type Files struct {
	mu   sync.Mutex
	most int
	held []*os.File
}

// Hold takes n descriptors, or as many as there are.
func Hold(n int) *Files {
	f := &Files{most: n}
	f.refill()
	return f
}

// Do calls try. If that fails for want of a descriptor it gives those that are
// held back to it, and calls it once more. Others may be faster to take them:
// then it is the second error that is returned.
func (f *Files) Do(try func() error) error {
	err := try()
	if f == nil || !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.release()
	defer f.refill()
	return try()
}

// Close gives all of them up.
func (f *Files) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = 0
	f.release()
}

func (f *Files) release() {
	for _, file := range f.held {
		_ = file.Close()
	}
	f.held = f.held[:0]
}

func (f *Files) refill() {
	for len(f.held) < f.most {
		file, err := os.Open(os.DevNull)
		if err != nil {
			return // the next Do finds fewer
		}
		f.held = append(f.held, file)
	}
}
