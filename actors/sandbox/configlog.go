package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"lithos/configs"
)

// The config log's rotation, P7.
const (
	configLogSize  = 10_485_760 // bytes, above which it is rotated
	configLogFiles = 100        // suffixes .1 (the newest) to .100
)

// loggedProcess is a process config in the form that the original writes and
// lithos_clean reads.
type loggedProcess struct {
	Instances              int               `json:"instances"`
	Image                  string            `json:"image"`
	Config                 string            `json:"config"`
	Variables              map[string]string `json:"variables,omitempty"`
	ExtraSecretsNamespaces []string          `json:"extra_secrets_namespaces,omitempty"`
	IPAddresses            []netip.Addr      `json:"ip_addresses,omitempty"`
	Kind                   configs.Kind      `json:"kind"`
}

// logConfig appends one line `<RFC3339> <JSON>` to the config log of a
// sandbox: the config of all its processes, the last good one of those that
// are broken now, so that the images of what runs are in it.
func logConfig(dir string, sb *configs.Sandbox) error {
	processes := make(map[string]loggedProcess)
	for _, p := range sb.Processes {
		if c := p.Config; c != nil {
			processes[p.Name] = loggedProcess{
				Instances:              c.Instances,
				Image:                  c.Image,
				Config:                 c.Config,
				Variables:              c.Variables,
				ExtraSecretsNamespaces: c.ExtraSecretsNamespaces,
				IPAddresses:            c.IPAddresses,
				Kind:                   p.Kind,
			}
		}
	}
	var line bytes.Buffer
	fmt.Fprintf(&line, "%s ", time.Now().UTC().Format(time.RFC3339))
	encoder := json.NewEncoder(&line) // ends with a newline
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(processes); err != nil {
		return err
	}
	path := filepath.Join(dir, sb.Name+".log")
	rotateErr := rotate(path)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return errors.Join(rotateErr, err)
	}
	// One write: a reader sees whole lines.
	_, err = file.Write(line.Bytes())
	return errors.Join(rotateErr, err, file.Close())
}

// rotate renames PATH to PATH.1 if it is too large, and those before it one
// number on; the last is overwritten.
func rotate(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= configLogSize {
		return nil
	}
	if err != nil {
		return err
	}
	for i := configLogFiles - 1; i >= 0; i-- {
		from := path
		if i > 0 {
			from = fmt.Sprintf("%s.%d", path, i)
		}
		err := os.Rename(from, fmt.Sprintf("%s.%d", path, i+1))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
