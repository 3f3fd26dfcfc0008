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
	w     io.Writer
	on    bool
	sizes []int64 // of the layers' files, -1 if not told
	read  int64   // of the layer
	last  time.Time
}

func newProgress(o *options, stderr io.Writer) *progress {
	p := &progress{w: stderr}
	if f, ok := stderr.(*os.File); ok && !o.quiet && !o.json {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.on = err == nil
	}
	return p
}

func (p *progress) start(img *image) {
	for _, l := range img.layers {
		p.sizes = append(p.sizes, l.size)
	}
}

// say is a line that stays, told everywhere.
func (p *progress) say(text string) { fmt.Fprintf(p.w, "lithos_import: %s\n", text) }

// begin starts the line of layer i, from 0. The result counts its bytes.
func (p *progress) begin(i int, done string) func(int64) {
	p.read = 0
	return func(n int64) {
		p.read += n
		if !p.on || time.Since(p.last) < 100*time.Millisecond {
			return
		}
		p.last = time.Now()
		of := ""
		if total := p.sizes[i]; total > 0 {
			of = " of " + size(total)
		}
		fmt.Fprintf(p.w, "\r\x1b[Klayer %d of %d: %s %s%s", i+1, len(p.sizes), done, size(p.read), of)
	}
}

func (p *progress) done() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
