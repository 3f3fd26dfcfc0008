package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// image is the same for all formats.
type image struct {
	digest    string // of the config, "sha256:…"
	reference string // the name it has in the source, "" = none
	config    imageConfig
	layers    []layer
}

// layer is one of them, the lowest first.
type layer struct {
	file   string // in the source
	digest string // of the file, "" if the format tells none
	size   int64  // of the file, -1 if not told
	diffID string // of the tar in it
}

// imageConfig is the image's own config: image-spec/config.md, which docker's
// is the origin of.
type imageConfig struct {
	platform
	Created string `json:"created"`
	Config  struct {
		User         string              `json:"User"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Env          []string            `json:"Env"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		Volumes      map[string]struct{} `json:"Volumes"`
		WorkingDir   string              `json:"WorkingDir"`
		StopSignal   string              `json:"StopSignal"`
		Healthcheck  *healthcheck        `json:"Healthcheck"`
		Shell        []string            `json:"Shell"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

const maxLayers = 1000

// choice selects one image of several.
type choice struct {
	reference string // "" = the only one
	platform  platform
}

// findImage reads the manifests; everything it returns is verified but the
// layers.
func findImage(s source, want choice) (*image, error) {
	img, err := findIn(s, want)
	if err != nil {
		return nil, err
	}
	c := &img.config
	switch {
	case c.RootFS.Type != "layers" && c.RootFS.Type != "":
		return nil, fmt.Errorf("the image's root is of the type %q, not layers", printable(c.RootFS.Type))
	case len(c.RootFS.DiffIDs) != len(img.layers):
		return nil, fmt.Errorf("the image has %d layers, its config names %d", len(img.layers), len(c.RootFS.DiffIDs))
	case len(img.layers) > maxLayers:
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(img.layers), maxLayers)
	}
	for i, id := range c.RootFS.DiffIDs {
		if _, err := hexOf(id); err != nil {
			return nil, err
		}
		img.layers[i].diffID = id
	}
	if have := c.platform.common(); have.fits(want.platform) < 0 {
		return nil, fmt.Errorf("the image is for %s, not for %s; if that is meant, say --platform %s", printable(have.String()), want.platform, printable(have.String()))
	}
	return img, nil
}

// findIn finds the image by the files that each format has.
func findIn(s source, want choice) (*image, error) {
	data, err := readAll(s, "index.json")
	if err == nil {
		var index manifest
		if err := decode("index.json", data, &index); err != nil {
			return nil, err
		}
		f := finder{s: s, form: layoutForm, want: want}
		if _, remote := s.(*registrySource); remote {
			f.form = registryForm
		}
		return f.find(index.Manifests)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err = readAll(s, "manifest.json")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("is neither made by docker save (no manifest.json) nor an OCI layout (no index.json)")
	case err != nil:
		return nil, err
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		return findDir(s, data, want)
	}
	return findArchived(s, data, want)
}

// findDir reads a directory of `skopeo copy … dir:`: one manifest, the blobs
// beside it.
func findDir(s source, data []byte, want choice) (*image, error) {
	m := new(manifest)
	if err := decode("manifest.json", data, m); err != nil {
		return nil, err
	}
	f := finder{s: s, form: dirForm, want: want}
	if len(m.Manifests) > 0 {
		return f.find(m.Manifests)
	}
	if kind := m.artifact(); kind != "" {
		return nil, fmt.Errorf("there is no image in it, but: %s", printable(kind))
	}
	digest := digestOf(data)
	if want.reference != "" && want.reference != digest && want.reference != m.Config.Digest {
		return nil, fmt.Errorf("there is no image %q, there is: %s", printable(want.reference), digest)
	}
	return f.load(candidate{manifest: m})
}

// hexOf checks a digest and gives its digits. Only sha256: all tools make it.
func hexOf(digest string) (string, error) {
	digits, ok := strings.CutPrefix(digest, "sha256:")
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != sha256.Size || digits != strings.ToLower(digits) {
		return "", fmt.Errorf("%q is not a sha256 digest", printable(digest))
	}
	return digits, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// some joins names for an error, not too many.
func some(names []string) string {
	const most = 20
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	for i := range names {
		names[i] = printable(names[i])
	}
	return strings.Join(names, ", ")
}

func decode(what string, data []byte, to any) error {
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s can't be read: %w", what, err)
	}
	return nil
}
