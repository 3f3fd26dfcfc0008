package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// layerReader gives the tar of a layer, and knows at its end whether it was the
// right one.
type layerReader struct {
	file   io.ReadCloser
	plain  io.ReadCloser // decompressed
	packed hash.Hash     // of the file
	inner  hash.Hash     // of the tar
	read   int64         // of the file
	size   int64
	l      layer
}

// openLayer opens a layer; progress is told of bytes of the file.
func openLayer(s source, l layer, progress func(int64)) (*layerReader, error) {
	file, size, err := s.open(l.file)
	if err != nil {
		return nil, err
	}
	if l.size >= 0 && size != l.size {
		file.Close()
		return nil, fmt.Errorf("%s has %d bytes, its manifest says %d", printable(l.file), size, l.size)
	}
	r := &layerReader{file: file, packed: sha256.New(), inner: sha256.New(), size: size, l: l}
	counted := readerFunc(func(b []byte) (int, error) {
		n, err := file.Read(b)
		r.packed.Write(b[:n])
		r.read += int64(n)
		progress(int64(n))
		return n, err
	})
	if r.plain, err = decompress(bufio.NewReaderSize(counted, 1<<20)); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", printable(l.file), err)
	}
	return r, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (r *layerReader) Read(b []byte) (int, error) {
	n, err := r.plain.Read(b)
	r.inner.Write(b[:n])
	return n, err
}

// maxTail is how much may come behind the end of a tar: padding to blocks,
// which some writers make large ones.
const maxTail = 64 << 20

// verify reads the rest of the file behind the tar and compares the digests.
func (r *layerReader) verify() error {
	if n, err := io.Copy(io.Discard, io.LimitReader(r, maxTail+1)); err != nil {
		return fmt.Errorf("%s: %w", printable(r.l.file), err)
	} else if n > maxTail {
		return fmt.Errorf("%s has more than %d bytes behind the end of its tar", printable(r.l.file), maxTail)
	}
	if got := "sha256:" + hex.EncodeToString(r.inner.Sum(nil)); got != r.l.diffID {
		return fmt.Errorf("the content of %s is not what the image's config says: its digest is %s, not %s", printable(r.l.file), got, r.l.diffID)
	}
	if r.l.digest == "" {
		return nil
	}
	// Bytes after the end of the compressed data belong to the file.
	if _, err := io.Copy(r.packed, r.file); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(r.packed.Sum(nil)); got != r.l.digest {
		return fmt.Errorf("%s is damaged: its digest is %s", printable(r.l.file), got)
	}
	return nil
}

func (r *layerReader) close() {
	r.plain.Close()
	r.file.Close()
}
