package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// registrySource shows an image in a registry as the files of a layout.
type registrySource struct {
	repository *remote.Repository
	index      []byte            // index.json, with the one entry that was asked for
	known      map[string][]byte // manifests that were read already, by their files
	sleep      func(time.Duration)
}

// registryForm has manifests and blobs apart, as registries do.
var registryForm = form{
	func(digits string) string { return "manifests/" + digits },
	func(digits string) string { return "blobs/" + digits },
}

// dockerScheme is skopeo's prefix of names in a registry.
const dockerScheme = "docker://"

// remoteName recognises the name of an image in a registry and gives its long
// form. It begins with docker://, or it begins with a registry and no file has
// that path.
func remoteName(source string) (string, bool) {
	if name, ok := strings.CutPrefix(source, dockerScheme); ok {
		return longName(name), true
	}
	host, _, ok := strings.Cut(source, "/")
	if !ok || host == "" || host[0] == '.' || !isHost(host) || exists(source) {
		return "", false
	}
	return longName(source), true
}

// openRegistry resolves the name of an image to its manifest.
func openRegistry(name string, plainHTTP bool) (*registrySource, error) {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no name of an image: %w", printable(name), err)
	}
	local := isLoopback(ref.Registry)
	client, err := newClient(local)
	if err != nil {
		return nil, err
	}
	r := &registrySource{
		repository: &remote.Repository{Reference: ref, PlainHTTP: plainHTTP || local, Client: client},
		known:      map[string][]byte{},
		sleep:      time.Sleep,
	}
	data, kind, err := r.resolve(ref)
	if err != nil {
		return nil, explain(err, name, ref.Registry)
	}
	found := descriptor{MediaType: kind, Digest: digestOf(data), Size: int64(len(data)), Annotations: map[string]string{containerdName: name}}
	if ref.ValidateReferenceAsDigest() == nil && ref.Reference != found.Digest {
		return nil, fmt.Errorf("%s is damaged: its digest is %s", name, found.Digest)
	}
	digits, err := hexOf(found.Digest)
	if err != nil {
		return nil, err
	}
	r.known[registryForm.manifest(digits)] = data
	r.index, err = json.Marshal(manifest{Manifests: []descriptor{found}})
	return r, err
}

// resolve fetches the manifest of a tag or a digest, and its media type.
func (r *registrySource) resolve(ref registry.Reference) (data []byte, kind string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), manifestTime)
	defer cancel()
	d, body, err := r.repository.Manifests().FetchReference(ctx, ref.Reference)
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	data, err = readSmall(body, ref.String())
	return data, d.MediaType, err
}

// explain says what to do about an error of the registry.
func explain(err error, name, host string) error {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	refused := ok && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden)
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("there is no image %s in the registry", name)
	case refused || errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("the registry does not give %s to this user, use docker login %s: %w", name, host, err)
	}
	return err
}

// newClient uses the credentials that docker login keeps. It accepts a token
// server on this machine only for a registry on this machine.
func newClient(local bool) (*auth.Client, error) {
	client := &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache()}
	client.SetUserAgent("lithos_import/" + version)
	if local {
		client.BlockedRealmPrefixes = []netip.Prefix{}
	}
	if os.Getenv("HOME") == "" && os.Getenv("DOCKER_CONFIG") == "" {
		return client, nil
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read docker's config.json: %w", err)
	}
	client.Credential = credentials.Credential(store)
	return client, nil
}

// isLoopback recognises a registry on this machine, which is asked without TLS.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

const manifestTime = 2 * time.Minute // for a manifest or a config

// open opens a manifest or a small blob.
func (r *registrySource) open(name string) (io.ReadCloser, int64, error) {
	if name == "index.json" {
		return inMemory(r.index)
	}
	if data, ok := r.known[name]; ok {
		return inMemory(data)
	}
	kind, digits, _ := strings.Cut(name, "/")
	ctx, cancel := context.WithTimeout(context.Background(), manifestTime)
	defer cancel()
	fetch := r.repository.Blobs().FetchReference
	if kind == "manifests" {
		fetch = r.repository.Manifests().FetchReference
	}
	_, body, err := fetch(ctx, "sha256:"+digits)
	if errors.Is(err, errdef.ErrNotFound) {
		err = &fs.PathError{Op: "fetch", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, 0, err
	}
	defer body.Close()
	data, err := readSmall(body, name)
	if err != nil {
		return nil, 0, err
	}
	r.known[name] = data
	return inMemory(data)
}

func inMemory(data []byte) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func readSmall(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err == nil && len(data) > maxJSON {
		err = fmt.Errorf("%s has more than %d bytes, which is too much for its kind", printable(name), maxJSON)
	}
	return data, err
}

func (r *registrySource) close() error { return nil }

// Limits of a download.
const (
	stallTime   = time.Minute // without a byte
	maxFailures = 5           // in a row, without a byte more than before
)

// download fetches a layer into a file and resumes behind the bytes that are in
// it, also when the connection breaks.
func (r *registrySource) download(l layer, to *os.File, progress func(int64)) error {
	have, err := to.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > l.size {
		have = 0
	}
	progress(have)
	most := have
	for failures := 0; have < l.size; {
		have, err = r.fetchFrom(l, have, to, progress)
		if err == nil && have < l.size {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			break
		}
		if failures++; have > most {
			most, failures = have, 1
		}
		if failures >= maxFailures || !passing(err) {
			return fmt.Errorf("cannot fetch %s: %w", l.digest, err)
		}
		r.sleep(time.Second << (failures - 1))
	}
	return to.Truncate(l.size)
}

// passing tells whether another connection may succeed: not after an error of
// the file, nor after a refusal by the registry.
func passing(err error) bool {
	_, ofFile := errors.AsType[*fs.PathError](err)
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	return !ofFile && !errors.Is(err, errdef.ErrNotFound) && (!ok || answer.StatusCode >= 500)
}

// fetchFrom appends the bytes of one connection to the file, which has so many
// then. A registry without Range requests starts over.
func (r *registrySource) fetchFrom(l layer, have int64, to *os.File, progress func(int64)) (int64, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stalled := time.AfterFunc(stallTime, cancel)
	defer stalled.Stop()
	body, err := r.repository.Blobs().Fetch(ctx, ocispec.Descriptor{Digest: digest.Digest(l.digest), Size: l.size})
	if err != nil {
		return have, err
	}
	defer body.Close()
	if seeker, ok := body.(io.Seeker); ok {
		_, err = seeker.Seek(have, io.SeekStart)
		if err != nil {
			return have, err
		}
	} else {
		progress(-have)
		have = 0
	}
	if _, err := to.Seek(have, io.SeekStart); err != nil {
		return have, err
	}
	n, err := io.Copy(to, io.LimitReader(readerFunc(func(b []byte) (int, error) {
		n, err := body.Read(b)
		stalled.Reset(stallTime)
		progress(int64(n))
		return n, err
	}), l.size-have))
	return have + n, err
}

// inFile is a source with one layer, whatever its name.
type inFile struct{ *os.File }

func (f inFile) open(string) (io.ReadCloser, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), info.Size(), nil
}

func (f inFile) close() error { return f.Close() }

func (w *work) downloadPath(l layer) string {
	return filepath.Join(w.path, strings.TrimPrefix(l.digest, "sha256:"))
}

// fetch downloads a layer to the work directory, where a later run goes on with
// it.
func (w *work) fetch(r *registrySource, l layer, most int64, progress func(int64)) (inFile, error) {
	if l.size > most {
		return inFile{}, fmt.Errorf("it has %d bytes, see --max-size", l.size)
	}
	to, err := os.OpenFile(w.downloadPath(l), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return inFile{}, err
	}
	if err := r.download(l, to, progress); err != nil {
		to.Close()
		return inFile{}, err
	}
	return inFile{to}, nil
}
