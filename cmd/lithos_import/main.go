package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"lithos/cmd/lithos_import/untar"
)

var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run gives the exit code.
func run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(stderr, "lithos_import: root is needed, the files of an image keep their owners")
		return exitFailed
	}
	show := newProgress(o, stderr)
	r, err := importImage(o, stdin, show)
	show.done()
	if err != nil {
		fmt.Fprintf(stderr, "lithos_import: %s\n", visible(err.Error()))
		return exitFailed
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(stderr, "lithos_import: warning: %s\n", visible(w))
	}
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		_, err = io.WriteString(stdout, r.text())
	}
	if err != nil {
		fmt.Fprintf(stderr, "lithos_import: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// maxEntries is how many files an image may have; one of a million is large.
const maxEntries = 5_000_000

// importImage does everything but to tell of it.
func importImage(o *options, stdin *os.File, show *progress) (*result, error) {
	if err := os.MkdirAll(o.imageDir, 0o755); err != nil {
		return nil, err
	}
	own, options, err := o.ownConfig()
	if err != nil {
		return nil, err
	}
	s, err := o.open(stdin)
	if err != nil {
		return nil, err
	}
	defer s.close()
	img, err := findImage(s, choice{reference: o.reference, platform: o.platform})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.source, err)
	}
	digits, err := hexOf(img.digest)
	if err != nil {
		return nil, err
	}
	name := o.name
	if name == "" {
		name = "sha256-" + digits + own.suffix
	}
	show.start(img)
	for {
		r, err := importOnce(o, s, img, name, digits, options, own, show)
		if !errors.Is(err, errGone) {
			return r, err
		}
	}
}

// open opens the source, wherever it is.
func (o *options) open(stdin *os.File) (source, error) {
	if name, ok := remoteName(o.source); ok {
		s, err := openRegistry(name, o.plainHTTP)
		if err != nil && !strings.HasPrefix(o.source, dockerScheme) {
			err = fmt.Errorf("%s is no file here, so it was asked for in the registry: %w", o.source, err)
		}
		return s, err
	}
	return openSource(o.source, stdin, o.imageDir, o.maxSize)
}

// importOnce finds that the image is there already, or makes it.
func importOnce(o *options, s source, img *image, name, digits, options string, own ownConfig, show *progress) (*result, error) {
	r := newResult(o, img, name)
	if exists(r.Path) {
		return r, r.compare(options)
	}
	w, err := openWork(o.imageDir, digits, options, o.fresh, func() { show.say("waiting for another lithos_import of this image") })
	if err != nil {
		return nil, err
	}
	defer w.lock.Close()
	if exists(r.Path) { // made while we waited
		return nil, errors.Join(errGone, w.remove())
	}
	if err := w.apply(s, img, untar.Options{MaxBytes: o.maxSize, MaxEntries: maxEntries, Privileged: o.keepSetuid}, show); err != nil {
		return nil, err
	}
	r.finish(w, img, o, own)
	if err := r.write(w, img, options); err != nil {
		return nil, errors.Join(err, w.remove())
	}
	if err := os.MkdirAll(filepath.Dir(r.Path), 0o755); err != nil {
		return nil, err
	}
	return r, w.publish(r.Path)
}
