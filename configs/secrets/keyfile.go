package secrets

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxKeyFile is the size of a key file in bytes at which it is surely another
// file: more than a hundred keys.
const maxKeyFile = 64 << 10

// ReadPrivateKeys reads secrets-private-key, one or more keys (requirement J1).
// The file must be a regular one, belong to root, and have no permission but
// reading and writing by its owner. It is the file at the end of all links that
// must, and it is looked at when it is open already.
func ReadPrivateKeys(path string) ([]*PrivateKey, error) {
	// NONBLOCK, for a FIFO would keep us waiting for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the private key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkKeyFile(path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the private key: %w", err)
	}
	data := make([]byte, maxKeyFile)
	defer clear(data)
	n, err := io.ReadFull(f, data)
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		if err == nil {
			err = fmt.Errorf("%d bytes or more are not a key", maxKeyFile)
		}
		return nil, fmt.Errorf("cannot read the private key %s: %w", path, err)
	}
	keys, err := ParsePrivateKeys(data[:n])
	if err != nil {
		return nil, fmt.Errorf("cannot use the private key %s: %w", path, err)
	}
	return keys, nil
}

func checkKeyFile(path string, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case !ok || stat.Uid != 0:
		return fmt.Errorf("%s belongs to another user than root, who could exchange it: chown root %s", path, path)
	case stat.Mode&0o7777&^0o600 != 0:
		return fmt.Errorf("%s has the mode %04o, others than root could use it: chmod 600 %s", path, stat.Mode&0o7777, path)
	}
	return nil
}
