package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// archived is one image of manifest.json in an archive for docker load.
type archived struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// findArchived reads an archive for docker load: manifest.json, whose content
// data is. It tells no digests of the layers' files; those of their contents are
// in the config.
func findArchived(s source, data []byte, want choice) (*image, error) {
	var list []archived
	if err := decode("manifest.json", data, &list); err != nil {
		return nil, err
	}
	a, err := pickArchived(s, list, want.reference)
	if err != nil {
		return nil, err
	}
	img := &image{}
	if len(a.RepoTags) > 0 {
		img.reference = a.RepoTags[0]
	}
	if data, err = readAll(s, a.Config); err != nil {
		return nil, err
	}
	img.digest = digestOf(data)
	if said := a.digest(); said != "" && said != img.digest {
		return nil, fmt.Errorf("%s is damaged: its digest is %s", printable(a.Config), img.digest)
	}
	if err := decode("the image's config", data, &img.config); err != nil {
		return nil, err
	}
	for _, file := range a.Layers {
		img.layers = append(img.layers, layer{file: file, size: -1})
	}
	return img, nil
}

// digest is that of the config if its name says one: docker writes HEX.json or
// blobs/sha256/HEX, crane, ko and kaniko sha256:HEX, jib config.json.
func (a *archived) digest() string {
	digest := "sha256:" + strings.TrimPrefix(strings.TrimSuffix(path.Base(a.Config), ".json"), "sha256:")
	if _, err := hexOf(digest); err != nil {
		return ""
	}
	return digest
}

// pickArchived chooses one by a name or a digest.
func pickArchived(s source, list []archived, reference string) (*archived, error) {
	if len(list) == 0 {
		return nil, errors.New("there is no image in it")
	}
	if reference == "" {
		if len(list) == 1 || !slices.ContainsFunc(list, func(a archived) bool { return a.Config != list[0].Config }) {
			return &list[0], nil
		}
		return nil, fmt.Errorf("there are several images, say which by --reference: %s", namesOfArchived(s, list))
	}
	for i, a := range list {
		if slices.Contains(a.RepoTags, reference) {
			return &list[i], nil
		}
	}
	digest := reference[strings.LastIndex(reference, "@")+1:]
	for i, a := range list {
		if isNamed(reference, a.RepoTags...) || a.readDigest(s) == digest {
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("there is no image %q, there are: %s", printable(reference), namesOfArchived(s, list))
}

// readDigest is the digest of the config, by its content if its name has none.
func (a *archived) readDigest(s source) string {
	if digest := a.digest(); digest != "" {
		return digest
	}
	data, err := readAll(s, a.Config)
	if err != nil {
		return ""
	}
	return digestOf(data)
}

// namesOfArchived lists names that --reference takes.
func namesOfArchived(s source, list []archived) string {
	var names []string
	for _, a := range list {
		names = append(names, a.RepoTags...)
		if len(a.RepoTags) == 0 {
			names = append(names, a.readDigest(s))
		}
	}
	return some(names)
}
