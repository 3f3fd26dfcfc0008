package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxInput is more than any key file or secret, in bytes; it keeps us from
// reading a device for ever.
const maxInput = 1 << 20

// readData returns the text of --data, --data-file or standard input. The
// argument names that text in errors.
func (o *options) readData(what string, stdin *os.File) ([]byte, error) {
	switch {
	case o.given["--data"]:
		return []byte(o.data), nil
	case o.dataFile != "" && o.dataFile != "-":
		data, err := readFile(o.dataFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the %s: %w", what, err)
		}
		return data, nil
	case o.dataFile == "" && isTerminal(stdin):
		return nil, usageError("there is no " + what + ": pipe it into standard input, or give its file by --data-file, or itself by --data")
	}
	data, err := readAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("cannot read the %s from standard input: %w", what, err)
	}
	return data, nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		err = pathError.Err
	}
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("it has more than %d bytes", maxInput)
	}
	return data, err
}

// dropNewline takes one line end off the end.
func dropNewline(data []byte) []byte {
	data, cut := bytes.CutSuffix(data, []byte("\n"))
	if cut {
		data = bytes.TrimSuffix(data, []byte("\r"))
	}
	return data
}
