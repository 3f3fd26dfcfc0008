package main

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"
)

// memorySource has files in memory.
type memorySource map[string][]byte

func (s memorySource) open(name string) (io.ReadCloser, int64, error) {
	data, ok := s[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func (s memorySource) close() error { return nil }

// Any documents of a layout or an archive get an answer, an image has only layers
// that can be verified, and a name that an error offers is accepted.
func FuzzFindImage(f *testing.F) {
	const (
		indexed = `{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@M","size":1,"annotations":{"org.opencontainers.image.ref.name":"a"},"platform":{"os":"linux","architecture":"amd64"}},{"digest":"@I"}]}`
		inner   = `{"manifests":[{"digest":"@M","platform":{"os":"linux","architecture":"arm","variant":"v7"}},{"digest":"@I"}]}`
		single  = `{"schemaVersion":2,"config":{"digest":"@C"},"layers":[{"digest":"@C","size":3}]}`
		config  = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["@C"]}}`
		docker  = `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l"]},{"Config":"sha256:0","RepoTags":null}]`
	)
	f.Add("index.json", []byte(indexed), []byte(inner), []byte(single), []byte(config), "")
	f.Add("index.json", []byte(indexed), []byte(inner), []byte(single), []byte(config), "@C")
	f.Add("index.json", []byte(`{"manifests":[{"digest":"@I"},{"digest":"@M"}]}`), []byte(inner), []byte(single), []byte(config), "a")
	f.Add("manifest.json", []byte(docker), []byte(inner), []byte(single), []byte(config), "docker.io/library/a:1")
	f.Add("manifest.json", []byte(single), []byte(inner), []byte(single), []byte(config), "")
	f.Add("manifest.json", []byte(inner), []byte(inner), []byte(single), []byte(config), "")
	f.Fuzz(func(t *testing.T, name string, top, index, manifest, config []byte, reference string) {
		const itself = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
		s := memorySource{"c.json": config}
		fill := func(text []byte, marks ...string) []byte {
			return []byte(strings.NewReplacer(marks...).Replace(string(text)))
		}
		put := func(data []byte) string {
			digest := digestOf(data)
			digits := strings.TrimPrefix(digest, "sha256:")
			s["blobs/sha256/"+digits], s[digits], s[digits+".manifest.json"] = data, data, data
			return digest
		}
		c := put(fill(config, "@C", itself))
		m := put(fill(manifest, "@C", c))
		i := put(fill(index, "@C", c, "@M", m, "@I", itself))
		marks := []string{"@C", c, "@M", m, "@I", i}
		s[name] = fill(top, marks...)
		want := choice{reference: string(fill([]byte(reference), marks...)), platform: platform{OS: "linux", Architecture: "amd64"}}
		img, err := findImage(s, want)
		if err != nil {
			offered, ok := strings.CutPrefix(err.Error(), "there are several images, say which by --reference: ")
			if !ok || strings.ContainsAny(err.Error(), "?…\ufffd") {
				return
			}
			for reference := range strings.SplitSeq(offered, ", ") {
				want.reference = reference
				if _, err := findImage(s, want); err != nil && strings.HasPrefix(err.Error(), "there is no image") {
					t.Errorf("%s was offered: %v", reference, err)
				}
			}
			return
		}
		for _, l := range img.layers {
			if _, err := hexOf(l.diffID); err != nil {
				t.Errorf("a layer with the digest %q", l.diffID)
			}
		}
	})
}

// A long name is its own long name.
func FuzzLongName(f *testing.F) {
	for _, name := range []string{"nginx", "nginx:1", "a/b", "localhost:5000/a@sha256:1", "docker.io/a", "index.docker.io/a:b", "", "/", ":", "@", "a.b/", "a//b:c@d@e"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		long := longName(name)
		if again := longName(long); again != long {
			t.Errorf("%q is %q, which is %q", name, long, again)
		}
	})
}

// Any image config becomes a container config in YAML with the intended keys and
// no others.
func FuzzContainerConfig(f *testing.F) {
	f.Add([]byte(`{"config":{"User":"a:b","Env":["A=1","B"],"Cmd":["/x","- y: z"],"Volumes":{"/a: !Tmpfs":{}},"WorkingDir":"w"}}`))
	f.Add([]byte(`{"created":"x\ny: z","config":{"StopSignal":"SIGQUIT\nkind: Command","ExposedPorts":{"80\nuser-id: 0":{}},"Entrypoint":["tini","--"]}}`))
	f.Add([]byte(`{"config":{"Healthcheck":{"Test":["CMD","/x","]\n"],"Interval":-1,"Timeout":9223372036854775807,"Retries":-5},"Shell":[""]}}`))
	keys := []string{"kind", "user-id", "group-id", "executable", "arguments", "environ", "workdir", "healthcheck", "volumes", "stop-signal", "metadata"}
	f.Fuzz(func(t *testing.T, data []byte) {
		var img image
		if decode("config", data, &img.config) != nil {
			return
		}
		root, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_DIRECTORY, 0)
		must(t, err)
		defer unix.Close(root)
		text := containerConfig(root, &img).text
		var read map[string]yaml.Node
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		for key := range read {
			if !slices.Contains(keys, key) {
				t.Errorf("there is %q in\n%s", key, text)
			}
		}
	})
}
