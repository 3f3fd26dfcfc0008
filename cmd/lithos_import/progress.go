package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progress is one line on a terminal, written anew a few times a second.
// Elsewhere it is nothing.
type progress struct {
	w      io.Writer
	on     bool
	layers int
	layer  int // from 1
	read   int64
	last   time.Time
}

func newProgress(o *options, stderr io.Writer) *progress {
	p := &progress{w: stderr}
	if f, ok := stderr.(*os.File); ok && !o.quiet && !o.json {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.on = err == nil
	}
	return p
}

func (p *progress) start(img *image) { p.layers = len(img.layers) }

// say is a line that stays, told everywhere.
func (p *progress) say(text string) { fmt.Fprintf(p.w, "lithos_import: %s\n", text) }

func (p *progress) kept(i int) { p.layer = i + 1 }

// begin is the next layer, from 0; the result is told of bytes.
func (p *progress) begin(i int) func(int64) {
	p.layer = i + 1
	return func(n int64) {
		p.read += n
		if p.on && time.Since(p.last) > 100*time.Millisecond {
			p.last = time.Now()
			fmt.Fprintf(p.w, "\r\x1b[Klayer %d of %d, %s", p.layer, p.layers, size(p.read))
		}
	}
}

func (p *progress) done() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
