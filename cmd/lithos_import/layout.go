package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// descriptor points to a blob: image-spec/descriptor.md.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
	Platform     *platform         `json:"platform"`
}

// manifest is a manifest or an index of them, as which of its parts are there.
type manifest struct {
	Schema       int          `json:"schemaVersion"`
	MediaType    string       `json:"mediaType"`
	ArtifactType string       `json:"artifactType"`
	Config       *descriptor  `json:"config"`
	Layers       []descriptor `json:"layers"`
	Manifests    []descriptor `json:"manifests"`
}

// Media types, also those that docker had before.
var (
	configTypes = []string{"", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
	layerTypes  = []string{"application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."}
)

const (
	maxIndexes     = 10 // one inside of the other
	maxManifests   = 10_000
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
	dockerKind     = "vnd.docker.reference.type" // of an attestation
)

// artifact gives the type of a manifest that is not one of an image, such as a
// signature, "" for an image.
func (m *manifest) artifact() string {
	switch {
	case m.Config == nil:
		return "unknown"
	case !slices.Contains(configTypes, m.Config.MediaType):
		if m.ArtifactType != "" {
			return m.ArtifactType
		}
		return m.Config.MediaType
	}
	for _, l := range m.Layers {
		if l.MediaType != "" && !slices.ContainsFunc(layerTypes, func(t string) bool { return strings.HasPrefix(l.MediaType, t) }) {
			return l.MediaType
		}
	}
	return ""
}

func (d descriptor) name() string {
	if long := d.Annotations[containerdName]; long != "" {
		return long
	}
	return d.Annotations[refName]
}

// isArtifact judges by the descriptor alone, without the manifest.
func (d descriptor) isArtifact() bool {
	return d.Annotations[dockerKind] != "" || d.Platform != nil && d.Platform.unknown()
}

// form says how the files of manifests and of other blobs are called.
type form struct{ manifest, blob func(digits string) string }

var (
	layoutForm = form{
		func(digits string) string { return "blobs/sha256/" + digits },
		func(digits string) string { return "blobs/sha256/" + digits },
	}
	// dirForm is that of skopeo's dir:
	dirForm = form{
		func(digits string) string { return digits + ".manifest.json" },
		func(digits string) string { return digits },
	}
)

// finder looks for an image in a source that has manifests.
type finder struct {
	s    source
	form form
	want choice
	read int
}

// readBlob reads and verifies a small blob.
func (f *finder) readBlob(d descriptor, name func(string) string) ([]byte, error) {
	digits, err := hexOf(d.Digest)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f.s, name(digits))
	if err != nil {
		return nil, err
	}
	if got := digestOf(data); got != d.Digest {
		return nil, fmt.Errorf("%s is damaged: its digest is %s", name(digits), got)
	}
	return data, nil
}

func (f *finder) readManifest(d descriptor) (*manifest, error) {
	if f.read++; f.read > maxManifests {
		return nil, fmt.Errorf("there are more than %d manifests", maxManifests)
	}
	data, err := f.readBlob(d, f.form.manifest)
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	if err := decode("the manifest", data, m); err != nil {
		return nil, err
	}
	if m.Schema == 1 {
		return nil, errors.New("the manifest is of docker's first format, which has no config: convert the image by skopeo copy")
	}
	return m, nil
}

func (f *finder) readConfig(m *manifest) (c imageConfig, err error) {
	data, err := f.readBlob(*m.Config, f.form.blob)
	if err != nil {
		return c, err
	}
	return c, decode("the image's config", data, &c)
}

// candidate is a manifest of an image that may be chosen.
type candidate struct {
	descriptor
	platform platform
	manifest *manifest // nil if it was not read
	err      error     // of reading it
	name     string    // of the entry of the outermost index that led to it
	entry    int       // which one that was
}

// candidates lists the images of an index and of the indexes in it.
func (f *finder) candidates(list []descriptor, deep int) (found []candidate, artifacts []string) {
	for i, d := range list {
		if d.isArtifact() {
			artifacts = append(artifacts, d.Annotations[dockerKind])
			continue
		}
		inner, others, err := f.candidate(d, deep)
		if err != nil {
			inner = []candidate{{descriptor: d, platform: f.want.platform, err: err}}
		}
		for _, c := range inner {
			c.name, c.entry = d.name(), i
			found = append(found, c)
		}
		artifacts = append(artifacts, others...)
	}
	return found, artifacts
}

// candidate resolves one entry of an index. The manifest of a
// foreign platform is not read, it may be missing.
func (f *finder) candidate(d descriptor, deep int) (found []candidate, artifacts []string, err error) {
	if deep == 0 {
		return nil, nil, fmt.Errorf("indexes are nested more than %d deep", maxIndexes)
	}
	if d.Platform != nil && d.Platform.common().fits(f.want.platform) < 0 {
		return []candidate{{descriptor: d, platform: d.Platform.common()}}, nil, nil
	}
	m, err := f.readManifest(d)
	if err != nil {
		return nil, nil, err
	}
	if len(m.Manifests) > 0 {
		found, artifacts = f.candidates(m.Manifests, deep-1)
		return found, artifacts, nil
	}
	if kind := m.artifact(); kind != "" {
		return nil, []string{kind}, nil
	}
	c := candidate{descriptor: d, manifest: m}
	if d.Platform != nil {
		c.platform = d.Platform.common()
		return []candidate{c}, nil, nil
	}
	config, err := f.readConfig(m)
	c.platform = config.platform.common()
	return []candidate{c}, nil, err
}

// find chooses an image below the outermost index and loads it.
func (f *finder) find(list []descriptor) (*image, error) {
	c, err := f.choose(list)
	if err != nil {
		return nil, err
	}
	return f.load(c)
}

func (f *finder) choose(list []descriptor) (candidate, error) {
	if f.want.reference != "" {
		named := f.named(list)
		if len(named) == 0 {
			return f.findDigest(list)
		}
		list = named
	}
	found, artifacts := f.candidates(list, maxIndexes)
	if len(found) == 0 && len(artifacts) > 0 {
		return candidate{}, fmt.Errorf("there is no image in it, but: %s", some(artifacts))
	}
	return f.best(found)
}

// named gives the entries of the wanted name. Literal matches come before names
// that are equal in their long form.
func (f *finder) named(list []descriptor) (named []descriptor) {
	exact := false
	for _, d := range list {
		long, short := d.Annotations[containerdName], d.Annotations[refName]
		switch letter := long == f.want.reference || short == f.want.reference; {
		case letter && !exact:
			named, exact = []descriptor{d}, true
		case letter || !exact && isNamed(f.want.reference, long, short):
			named = append(named, d)
		}
	}
	return named
}

// best takes the best one for the platform: of one index the first.
func (f *finder) best(all []candidate) (candidate, error) {
	if len(all) == 0 {
		return candidate{}, errors.New("there is no image in it")
	}
	var best []candidate
	at := -1
	for _, c := range all {
		fit := c.platform.fits(f.want.platform)
		if fit < 0 || at >= 0 && fit > at {
			continue
		}
		if fit != at {
			best, at = nil, fit
		}
		if !slices.ContainsFunc(best, func(b candidate) bool { return b.entry == c.entry || b.Digest == c.Digest }) {
			best = append(best, c)
		}
	}
	switch {
	case len(best) == 0:
		return candidate{}, fmt.Errorf("there is no image for %s, say --platform and one of: %s", f.want.platform, platformsOf(all))
	case len(best) > 1:
		return candidate{}, fmt.Errorf("there are several images, say which by --reference: %s", namesOf(best))
	}
	return best[0], best[0].err
}

// findDigest finds an image by the digest of its manifest, index or config.
func (f *finder) findDigest(list []descriptor) (candidate, error) {
	want := f.want.reference[strings.LastIndex(f.want.reference, "@")+1:]
	if _, err := hexOf(want); err == nil {
		if c, err := f.byDigest(list, want, maxIndexes); c != nil {
			return *c, err
		}
	}
	unread := *f
	unread.want.platform = platform{}
	all, _ := unread.candidates(list, maxIndexes)
	return candidate{}, fmt.Errorf("there is no image %q, there are: %s", printable(f.want.reference), namesOf(all))
}

// byDigest gives nil if there is none.
func (f *finder) byDigest(list []descriptor, want string, deep int) (*candidate, error) {
	if deep == 0 {
		return nil, nil
	}
	for _, d := range list {
		m, err := f.readManifest(d)
		switch {
		case err != nil && d.Digest == want:
			return &candidate{}, err
		case err != nil:
		case len(m.Manifests) > 0 && d.Digest == want:
			all, _ := f.candidates(m.Manifests, deep-1)
			c, err := f.best(all)
			return &c, err
		case len(m.Manifests) > 0:
			c, err := f.byDigest(m.Manifests, want, deep-1)
			if c != nil {
				return c, err
			}
		case d.Digest == want || m.Config != nil && m.Config.Digest == want:
			if kind := m.artifact(); kind != "" {
				return &candidate{}, fmt.Errorf("%s is no image, but: %s", printable(d.Digest), printable(kind))
			}
			return &candidate{descriptor: d, manifest: m, name: d.name()}, nil
		}
	}
	return nil, nil
}

// load reads the config and lists the layers.
func (f *finder) load(c candidate) (*image, error) {
	img := &image{digest: c.manifest.Config.Digest, reference: c.name}
	var err error
	if img.config, err = f.readConfig(c.manifest); err != nil {
		return nil, err
	}
	// The index has the last word on the platform.
	if c.Platform != nil {
		img.config.platform = *c.Platform
	}
	for _, l := range c.manifest.Layers {
		digits, err := hexOf(l.Digest)
		if err != nil {
			return nil, err
		}
		img.layers = append(img.layers, layer{file: f.form.blob(digits), digest: l.Digest, size: l.Size})
	}
	return img, nil
}

// namesOf lists names that --reference takes: digests of those that have none,
// or share one.
func namesOf(list []candidate) string {
	count := map[string]int{}
	for _, c := range list {
		count[c.name]++
	}
	var names []string
	for _, c := range list {
		if c.name == "" || count[c.name] > 1 {
			c.name = c.Digest
		}
		names = append(names, c.name)
	}
	return some(names)
}

func platformsOf(list []candidate) string {
	var names []string
	for _, c := range list {
		names = append(names, c.platform.String())
	}
	return some(names)
}
