// Package mmap makes files of numbers that others read while they are
// written: mapped into memory, each number stored in one step.
package mmap

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is a mapped file of numbers of 64 bits in the host's byte order.
type File struct{ data []byte }

// Create makes a file at path, which must not exist, for so many numbers; it
// is filled up to whole pages with zeros.
func Create(path string, numbers int) (*File, error) {
	page := os.Getpagesize()
	size := max((numbers*8+page-1)/page, 1) * page
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot make a file to map: %w", err)
	}
	defer f.Close()
	// Not a hole: a store into one fails with SIGBUS when the disk is full.
	err = unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(int64(size))
	}
	var data []byte
	if err == nil {
		data, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot map %s: %w", path, err), os.Remove(path))
	}
	return &File{data}, nil
}

// Store sets number i.
func (f *File) Store(i int, v uint64) {
	_ = f.data[i*8+7]
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&f.data[i*8])), v)
}

// Close unmaps the file, which stays. Preconditions: nobody stores any more.
func (f *File) Close() error {
	err := unix.Munmap(f.data)
	f.data = nil
	return err
}
