package main

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// reserve keeps a few descriptors back, for calls that must not fail when the
// process, or the host, has no more of them. A nil reserve is an empty one.
type reserve struct {
	mu   sync.Mutex
	most int
	held []*os.File
}

// newReserve takes n descriptors, or as many as there are.
func newReserve(n int) *reserve {
	r := &reserve{most: n}
	r.refill()
	return r
}

// do calls try. If that fails for want of a descriptor it releases the reserve
// and calls try once more. Others may be faster to take the descriptors: then
// the second error is returned.
func (r *reserve) do(try func() error) error {
	err := try()
	if r == nil || !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
	defer r.refill()
	return try()
}

func (r *reserve) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = 0
	r.release()
}

func (r *reserve) release() {
	for _, file := range r.held {
		_ = file.Close()
	}
	r.held = r.held[:0]
}

func (r *reserve) refill() {
	for len(r.held) < r.most {
		file, err := os.Open(os.DevNull)
		if err != nil {
			return // the next do finds fewer
		}
		r.held = append(r.held, file)
	}
}
