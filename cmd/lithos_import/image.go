package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// image is what both formats come to.
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
	Created      string `json:"created"`
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		User         string              `json:"User"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Env          []string            `json:"Env"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		Volumes      map[string]struct{} `json:"Volumes"`
		WorkingDir   string              `json:"WorkingDir"`
		StopSignal   string              `json:"StopSignal"`
		Healthcheck  *struct {
			Test []string `json:"Test"`
		} `json:"Healthcheck"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// descriptor points to a blob: image-spec/descriptor.md.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant"`
	} `json:"platform"`
	Data []byte `json:"data"`
}

// manifest is a manifest or an index of them, as which of its parts are there.
type manifest struct {
	MediaType string       `json:"mediaType"`
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

const (
	maxLayers    = 1000
	maxIndexes   = 10 // one inside of the other
	refName      = "org.opencontainers.image.ref.name"
	containerdNS = "io.containerd.image.name"
)

// choice says which image of several.
type choice struct {
	reference string // "" = the only one
	platform  string // os/architecture
}

// findImage reads the manifests; everything it returns is verified but the
// layers.
func findImage(s source, want choice) (*image, error) {
	img, err := findOCI(s, want)
	if errors.Is(err, errNoLayout) {
		img, err = findDocker(s, want)
	}
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
	if have := c.OS + "/" + c.Architecture; c.Architecture != "" && have != want.platform {
		return nil, fmt.Errorf("the image is for %s, not for %s; if that is meant, say --platform %s", printable(have), want.platform, printable(have))
	}
	return img, nil
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

// blob is the path of a blob in an OCI layout.
func blob(digest string) (string, error) {
	digits, err := hexOf(digest)
	return "blobs/sha256/" + digits, err
}

// readBlob reads and verifies a small one.
func readBlob(s source, d descriptor) ([]byte, error) {
	name, err := blob(d.Digest)
	if err != nil {
		return nil, err
	}
	data, err := readAll(s, name)
	if err != nil {
		return nil, err
	}
	if got := digestOf(data); got != d.Digest {
		return nil, fmt.Errorf("%s is damaged: its digest is %s", name, got)
	}
	return data, nil
}

var errNoLayout = errors.New("no index.json")

// findOCI reads an OCI layout: image-spec/image-layout.md.
func findOCI(s source, want choice) (*image, error) {
	data, err := readAll(s, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	}
	if err != nil {
		return nil, err
	}
	var index manifest
	if err := decode("index.json", data, &index); err != nil {
		return nil, err
	}
	list := index.Manifests
	if want.reference != "" {
		list = slices.DeleteFunc(slices.Clone(list), func(d descriptor) bool { return !d.named(want.reference) })
		if len(list) == 0 {
			return nil, fmt.Errorf("there is no image %q, there are: %s", want.reference, referencesOf(index.Manifests))
		}
	}
	d, m, err := pick(s, list, want, maxIndexes)
	if err != nil {
		return nil, err
	}
	img := &image{digest: m.Config.Digest, reference: d.name()}
	if data, err = readBlob(s, *m.Config); err != nil {
		return nil, err
	}
	if err := decode("the image's config", data, &img.config); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		name, err := blob(l.Digest)
		if err != nil {
			return nil, err
		}
		img.layers = append(img.layers, layer{file: name, digest: l.Digest, size: l.Size})
	}
	return img, nil
}

// pick finds the one manifest that is meant, going down into indexes.
func pick(s source, list []descriptor, want choice, deep int) (descriptor, *manifest, error) {
	if deep == 0 {
		return descriptor{}, nil, fmt.Errorf("indexes are nested more than %d deep", maxIndexes)
	}
	fitting := slices.DeleteFunc(slices.Clone(list), func(d descriptor) bool {
		return d.Platform != nil && d.Platform.OS+"/"+d.Platform.Architecture != want.platform
	})
	switch {
	case len(fitting) == 0 && len(list) > 0:
		return descriptor{}, nil, fmt.Errorf("there is no image for %s, there are: %s", want.platform, platformsOf(list))
	case len(fitting) == 0:
		return descriptor{}, nil, errors.New("there is no image in it")
	case len(fitting) > 1 && want.reference == "" && !same(fitting):
		return descriptor{}, nil, fmt.Errorf("there are several images, say which by --reference: %s", referencesOf(fitting))
	}
	d := fitting[0]
	data, err := readBlob(s, d)
	if err != nil {
		return d, nil, err
	}
	var m manifest
	if err := decode("the manifest", data, &m); err != nil {
		return d, nil, err
	}
	if len(m.Manifests) > 0 {
		_, inner, err := pick(s, m.Manifests, want, deep-1)
		return d, inner, err
	}
	if m.Config == nil || len(m.Layers) == 0 {
		return d, nil, fmt.Errorf("%s is no manifest of an image", printable(d.Digest))
	}
	return d, &m, nil
}

// same tells whether all are the same image under several names.
func same(list []descriptor) bool {
	return !slices.ContainsFunc(list, func(d descriptor) bool { return d.Digest != list[0].Digest })
}

func (d descriptor) name() string {
	if full := d.Annotations[containerdNS]; full != "" {
		return full
	}
	return d.Annotations[refName]
}

func (d descriptor) named(reference string) bool {
	return reference == d.Annotations[refName] || reference == d.Annotations[containerdNS] || reference == d.Digest
}

func referencesOf(list []descriptor) string {
	var names []string
	for _, d := range list {
		name := d.name()
		if name == "" {
			name = d.Digest
		}
		names = append(names, printable(name))
	}
	return some(names)
}

func platformsOf(list []descriptor) string {
	var names []string
	for _, d := range list {
		if d.Platform != nil {
			names = append(names, printable(d.Platform.OS+"/"+d.Platform.Architecture))
		}
	}
	return some(names)
}

// some joins names for an error, not too many.
func some(names []string) string {
	const most = 20
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, ", ")
}

// dockerImage is one of manifest.json of docker save.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// findDocker reads what docker save makes. It tells no digests of the layers'
// files; those of their contents are in the config, whose own digest is its
// name.
func findDocker(s source, want choice) (*image, error) {
	data, err := readAll(s, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("is neither made by docker save (no manifest.json) nor an OCI layout (no index.json)")
	}
	if err != nil {
		return nil, err
	}
	var list []dockerImage
	if err := decode("manifest.json", data, &list); err != nil {
		return nil, err
	}
	d, err := pickDocker(list, want)
	if err != nil {
		return nil, err
	}
	img := &image{reference: want.reference}
	if img.reference == "" && len(d.RepoTags) > 0 {
		img.reference = d.RepoTags[0]
	}
	if data, err = readAll(s, d.Config); err != nil {
		return nil, err
	}
	img.digest = digestOf(data)
	if name := strings.TrimSuffix(path.Base(d.Config), ".json"); "sha256:"+name != img.digest {
		return nil, fmt.Errorf("%s is damaged: its digest is %s", printable(d.Config), img.digest)
	}
	if err := decode("the image's config", data, &img.config); err != nil {
		return nil, err
	}
	for _, file := range d.Layers {
		img.layers = append(img.layers, layer{file: file, size: -1})
	}
	return img, nil
}

func pickDocker(list []dockerImage, want choice) (*dockerImage, error) {
	var names []string
	for i, d := range list {
		if want.reference != "" && slices.Contains(d.RepoTags, want.reference) {
			return &list[i], nil
		}
		names = append(names, strings.Join(d.RepoTags, " "))
	}
	switch {
	case want.reference != "":
		return nil, fmt.Errorf("there is no image %q, there are: %s", want.reference, printable(some(names)))
	case len(list) == 0:
		return nil, errors.New("there is no image in it")
	case len(list) > 1:
		return nil, fmt.Errorf("there are several images, say which by --reference: %s", printable(some(names)))
	}
	return &list[0], nil
}

func decode(what string, data []byte, to any) error {
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s can't be read: %w", what, err)
	}
	return nil
}
