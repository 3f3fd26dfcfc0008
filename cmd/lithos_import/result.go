package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// result is the report, and the document of --json.
type result struct {
	Name      string        `json:"image"` // as in a process config
	ImageDir  string        `json:"image_dir"`
	Path      string        `json:"path"`
	Digest    string        `json:"digest"`
	Reference string        `json:"reference,omitempty"`
	Config    string        `json:"config"` // path in the image
	There     bool          `json:"there_already"`
	Layers    []layerResult `json:"layers"`
	Entries   int           `json:"entries"`
	Bytes     int64         `json:"bytes"`
	User      *uint32       `json:"user,omitempty"`
	Group     *uint32       `json:"group,omitempty"`
	Volumes   []string      `json:"volumes"`
	Warnings  []string      `json:"warnings"`
}

type layerResult struct {
	DiffID string `json:"diff_id"`
	Kept   bool   `json:"kept"` // by an earlier, interrupted run
}

func newResult(o *options, img *image, name string) *result {
	r := &result{
		Name: name, ImageDir: o.imageDir, Path: filepath.Join(o.imageDir, name),
		Digest: img.digest, Reference: img.reference, Config: "/config/" + o.configName + ".yaml",
		Layers: []layerResult{}, Volumes: []string{}, Warnings: []string{},
	}
	for _, l := range img.layers {
		r.Layers = append(r.Layers, layerResult{DiffID: l.diffID})
	}
	return r
}

// compare tells whether a directory that has the name is this image.
func (r *result) compare(options string) error {
	m, err := readMetadata(r.Path)
	switch {
	case err != nil:
		return fmt.Errorf("%s is there already and was not made by lithos_import: give another --name", r.Path)
	case m.Digest != r.Digest:
		return fmt.Errorf("%s is there already and is another image, %s: give another --name", r.Path, printable(m.Digest))
	case m.Options != options || m.Config != r.Config:
		return fmt.Errorf("%s is there already and was made with other options: give another --name", r.Path)
	}
	r.There = true
	return nil
}

// finish makes the files that lithos needs in the image and fills the report.
func (r *result) finish(w *work, img *image, o *options, own ownConfig) {
	for i := range r.Layers {
		r.Layers[i].Kept = i < len(w.State.Applied)-w.totals.layers
	}
	r.Entries, r.Bytes = w.totals.entries, w.totals.bytes
	m := containerConfig(w.root, img)
	r.Warnings = append(r.Warnings, makeMountPoints(w.root, m.mounts)...)
	if own.given {
		w.config = own.text
	} else {
		w.config = m.text
		r.Warnings = append(r.Warnings, m.warnings...)
		r.Volumes = append(r.Volumes, m.volumes...)
		if !m.id.root {
			r.User = &m.id.uid
		}
		if !m.id.root || m.id.gid != 0 {
			r.Group = &m.id.gid
		}
	}
	if n := w.totals.setID; n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("set-user-id and set-group-id bits were taken off %d file(s), see --keep-setuid", n))
	}
	if n := w.totals.attributes; n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d extended attribute(s) were left out", n))
	}
	if n := len(w.totals.devices); n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d device(s) were left out: %s. A container gets those of lithos_mkdev in /dev and can open no others", n, some(w.totals.devices)))
	}
}

// write writes our own files into the image.
func (r *result) write(w *work, img *image, options string) error {
	kept, err := writeConfig(w.root, r.Config, w.config)
	if err != nil {
		return err
	}
	if kept {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the image brings a %s, which is kept; --config-name makes ours another file", r.Config))
	}
	m := metadata{Digest: img.digest, Reference: img.reference, Config: r.Config, Options: options}
	for _, l := range img.layers {
		m.Layers = append(m.Layers, l.diffID)
	}
	return writeMetadata(w.root, m)
}

// text is for a person: the image, and what it asks of a sandbox.
func (r *result) text() string {
	var b strings.Builder
	if r.There {
		fmt.Fprintf(&b, "%s is there already\n", r.Path)
	} else {
		fmt.Fprintf(&b, "%s: %d layer(s), %d files, %s\n", r.Path, len(r.Layers), r.Entries, size(r.Bytes))
	}
	fmt.Fprintf(&b, "\nin the process config:\n  image: %s\n  config: %s\n", r.Name, r.Config)
	if r.Group == nil && len(r.Volumes) == 0 {
		return b.String()
	}
	b.WriteString("\nwhat the sandbox config has to allow:\n")
	if r.User != nil {
		fmt.Fprintf(&b, "  allow-users: [%d]\n", *r.User)
	}
	if r.Group != nil {
		fmt.Fprintf(&b, "  allow-groups: [%d]\n", *r.Group)
	}
	if len(r.Volumes) > 0 {
		fmt.Fprintf(&b, "  writable-paths:\n    %s: /a/directory/of/the/host   # for %s\n", volumesDir, printable(strings.Join(r.Volumes, ", ")))
	}
	return b.String()
}

func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
