package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// said is the value of the variable A that an imported image has.
func said(t *testing.T, r result) string {
	t.Helper()
	text, err := os.ReadFile(r.Path + r.Config)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "A: "); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// saying is the config of an image that can be told from others by [said].
func saying(value string) map[string]any {
	return map[string]any{"Cmd": []string{"/x"}, "Env": []string{"A=" + value}}
}

func program(t *testing.T) []byte { return archive(t, entry{name: "x", mode: 0o755}) }

// archiveOf makes an archive for docker load, of images with one layer each. name
// gives the file names of their configs.
func archiveOf(t *testing.T, name func(digits string) string, tags ...[]string) []byte {
	t.Helper()
	layer := program(t)
	members := []entry{file("l/layer.tar", string(layer))}
	var list []any
	for _, t2 := range tags {
		text := imageText(t, saying(strings.Join(t2, "")+"."), layer)
		config := name(strings.TrimPrefix(digestOf(text), "sha256:"))
		members = append(members, file(config, string(text)))
		list = append(list, map[string]any{"Config": config, "RepoTags": t2, "Layers": []string{"l/layer.tar"}})
	}
	return archive(t, append(members, file("manifest.json", string(toJSON(t, list))))...)
}

// The file of the config has a name that each tool makes up in its own way.
func TestConfigsOfArchives(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"docker":        func(d string) string { return d + ".json" },
		"docker 25":     func(d string) string { return "blobs/sha256/" + d },
		"crane, kaniko": func(d string) string { return "sha256:" + d },
		"jib":           func(string) string { return "config.json" },
	} {
		t.Run(name, func(t *testing.T) {
			data := archiveOf(t, form, []string{"a/b:1"})
			imported(t, memoryDir(t), tempFile(t, data))
			if name != "jib" {
				refused(t, "is damaged", tempFile(t, bytes.Replace(data, []byte("A=a/b:1"), []byte("A=a/b:2"), 1)))
			}
		})
	}
}

// Names are equal in their short and their long forms.
func TestReferences(t *testing.T) {
	for short, long := range map[string]string{
		"nginx":                    "docker.io/library/nginx:latest",
		"nginx:1.27":               "docker.io/library/nginx:1.27",
		"index.docker.io/a/b":      "docker.io/a/b:latest",
		"a/b:1":                    "docker.io/a/b:1",
		"docker.io/nginx":          "docker.io/library/nginx:latest",
		"quay.io/a":                "quay.io/a:latest",
		"localhost/a":              "localhost/a:latest",
		"localhost:5000/a/b/c:x":   "localhost:5000/a/b/c:x",
		"nginx@sha256:1":           "docker.io/library/nginx@sha256:1",
		"nginx:1.27@sha256:1":      "docker.io/library/nginx:1.27@sha256:1",
		"registry:5000/a@sha256:1": "registry:5000/a@sha256:1",
	} {
		if got := longName(short); got != long {
			t.Errorf("%s is %s, want %s", short, got, long)
		}
	}
	images := archiveOf(t, func(d string) string { return d + ".json" }, []string{"nginx:1.27"}, []string{"docker.io/library/redis:7", "b/c:d"})
	source := tempFile(t, images)
	for reference, want := range map[string]string{
		"nginx:1.27": "nginx:1.27.", "docker.io/library/nginx:1.27": "nginx:1.27.", "index.docker.io/library/nginx:1.27": "nginx:1.27.",
		"redis:7": "docker.io/library/redis:7b/c:d.", "docker.io/b/c:d": "docker.io/library/redis:7b/c:d.",
	} {
		if got := said(t, imported(t, memoryDir(t), "--reference", reference, source)); got != want {
			t.Errorf("%s is %s, want %s", reference, got, want)
		}
	}
	refused(t, `there is no image "nginx", there are: b/c:d, docker.io/library/redis:7, nginx:1.27`, "--reference", "nginx", source)
	refused(t, "say which by --reference: b/c:d, docker.io/library/redis:7, nginx:1.27", source)

	// The archives of docker 25 have an index, in which the tag alone is a name,
	// too.
	l := newLayout(t)
	both := func(long string, d entryOf) entryOf {
		return with(d, "annotations", map[string]string{containerdName: long, refName: long[strings.LastIndex(long, ":")+1:]})
	}
	l.top(both("docker.io/library/nginx:1", l.image("", machine, saying("nginx"), program(t))),
		both("docker.io/library/redis:1", l.image("", machine, saying("redis"), program(t))))
	for reference, want := range map[string]string{"nginx:1": "nginx", "docker.io/library/redis:1": "redis", "docker.io/redis:1": "redis"} {
		if got := said(t, imported(t, memoryDir(t), "--reference", reference, l.root)); got != want {
			t.Errorf("%s is %s, want %s", reference, got, want)
		}
	}
	refused(t, "say which by --reference: docker.io/library/nginx:1, docker.io/library/redis:1", "--reference", "1", l.root)
}

// Images without names are chosen by a digest, which the errors offer.
func TestDigestsAsReferences(t *testing.T) {
	l := newLayout(t)
	one, two := l.image("", machine, saying("1"), program(t)), l.image("", machine, saying("2"), program(t))
	l.top(one, l.index(two))
	unnamed := tempFile(t, archiveOf(t, func(d string) string { return d + ".json" }, nil, []string{}))
	same := newLayout(t)
	same.top(named("x", same.image("", machine, saying("1"), program(t))), named("x", same.image("", machine, saying("2"), program(t))))
	for source, names := range map[string][]string{
		l.root:    {one["digest"].(string), two["digest"].(string)},
		same.root: {one["digest"].(string), two["digest"].(string)},
	} {
		for i, name := range names {
			refused(t, name, source)
			for _, reference := range []string{name, "any.name/x@" + name} {
				if got := said(t, imported(t, memoryDir(t), "--reference", reference, source)); got != string(rune('1'+i)) {
					t.Errorf("%s is %s", reference, got)
				}
			}
		}
		if got := said(t, imported(t, memoryDir(t), "--reference", digestOfConfig(t, saying("2")), source)); got != "2" {
			t.Errorf("by its config it is %s", got)
		}
		refused(t, names[0], "--reference", "sha256:"+strings.Repeat("0", 64), source)
	}
	refused(t, digestOfConfig(t, saying(".")), "--reference", "none", unnamed)
	imported(t, memoryDir(t), "--reference", digestOfConfig(t, saying(".")), unnamed)
}

func digestOfConfig(t *testing.T, config map[string]any) string {
	return digestOf(imageText(t, config, program(t)))
}

// The first image of an index that runs on the platform is taken; a machine
// without a variant does not run images that ask for it.
func TestPlatforms(t *testing.T) {
	for _, tt := range []struct {
		there    string // platforms in the index; "-" = no platform, that of the config counts
		platform string
		want     string // which of them, "first", or the error
	}{
		{"linux/amd64 linux/amd64/v3", "linux/amd64", "0"},
		{"linux/amd64/v3 linux/amd64", "linux/amd64", "1"},
		{"linux/amd64/v3 linux/amd64/v2 linux/amd64", "linux/amd64/v3", "0"},
		{"linux/amd64/v4 linux/amd64/v2 linux/amd64", "linux/amd64/v3", "1"},
		{"linux/amd64 linux/amd64", "linux/amd64", "first"},
		{"linux/amd64/v3", "linux/amd64", "no image for linux/amd64, say --platform and one of: linux/amd64/v3"},
		{"linux/arm/v6 linux/arm/v7", "linux/arm/v7", "1"},
		{"linux/arm/v6 linux/arm/v7", "linux/arm/v6", "0"},
		{"linux/arm/v6 linux/arm/v7", "linux/arm", "1"},
		{"linux/arm/v5 linux/arm/v6", "linux/arm/v7", "1"},
		{"linux/arm/v7", "linux/arm/v6", "no image for linux/arm/v6, say --platform and one of: linux/arm/v7"},
		{"linux/arm64/v8 linux/arm64", "linux/arm64", "first"},
		{"linux/arm64", "linux/arm64/v8", "0"},
		{"windows/amd64 linux/amd64", "linux/amd64", "1"},
		{"linux/s390x linux/ppc64le", "linux/ppc64le", "1"},
		{"unknown/unknown linux/amd64", "linux/amd64", "1"},
		{"-linux/arm64 -linux/amd64", "linux/amd64", "1"},
		{"-linux/arm/v6 -linux/arm/v7", "linux/arm/v7", "1"},
		{"-/", "linux/amd64", "0"},
		{"-/amd64", "linux/amd64", "0"},
		{"-linux/arm64", "linux/amd64", "no image for linux/amd64, say --platform and one of: linux/arm64"},
	} {
		for _, nested := range []bool{false, true} {
			t.Run(tt.there+" for "+tt.platform, func(t *testing.T) {
				l := newLayout(t)
				var list []entryOf
				for i, p := range strings.Fields(tt.there) {
					own, inConfig := strings.CutPrefix(p, "-")
					parts := strings.Split(own+"/", "/")
					d := l.image("", platform{parts[0], parts[1], parts[2]}, saying(string(rune('0'+i))), program(t))
					if !inConfig {
						d = forPlatform(p, d)
					}
					list = append(list, d)
				}
				want := tt.want
				switch {
				case nested && want == "first":
					want = "0"
				case want == "first":
					want = "say which by --reference: " // of a layout's own index none is first
				}
				if nested {
					list = []entryOf{l.index(list...)}
				}
				l.top(list...)
				if len(want) > 1 {
					refused(t, want, "--platform", tt.platform, l.root)
				} else if got := said(t, imported(t, memoryDir(t), "--platform", tt.platform, l.root)); got != want {
					t.Errorf("it is %s, want %s", got, want)
				}
			})
		}
	}
	arm := newLayout(t)
	arm.top(arm.image("", platform{"linux", "arm", "v7"}, saying("1"), program(t)))
	refused(t, "--platform", "--platform", "linux/amd64", arm.root)
	for _, wrong := range []string{"linux", "linux/", "/amd64", "linux/arm/v7/x"} {
		var errs bytes.Buffer
		if code := run([]string{"--platform", wrong, arm.root}, nil, &errs, &errs); code != exitUsage {
			t.Errorf("%s: exit code %d: %s", wrong, code, errs.String())
		}
	}
}

// Signatures, attestations and other artifacts beside an image are not taken for
// one.
func TestArtifactsAreNoImages(t *testing.T) {
	l := newLayout(t)
	artifact := func(config, layer string, fields entryOf) entryOf {
		m := entryOf{"schemaVersion": 2, "config": l.blob(config, []byte("{}")), "layers": []any{l.blob(layer, []byte(layer))}}
		for k, v := range fields {
			m[k] = v
		}
		return l.blob(vnd+"manifest.v1+json", toJSON(t, m))
	}
	image := l.image("gzip", machine, saying("image"), program(t))
	others := []entryOf{
		artifact(vnd+"config.v1+json", "application/vnd.dev.cosign.simplesigning.v1+json", nil),
		artifact("application/vnd.oci.empty.v1+json", "text/plain", entryOf{"artifactType": "application/vnd.example"}),
		artifact("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", nil),
		with(forPlatform("unknown/unknown", artifact(vnd+"config.v1+json", "application/vnd.in-toto+json", nil)),
			"annotations", entryOf{dockerKind: "attestation-manifest"}),
	}
	l.top(append(others, image)...)
	if got := said(t, imported(t, memoryDir(t), l.root)); got != "image" {
		t.Errorf("it is %s", got)
	}
	l.top(others...)
	refused(t, "there is no image in it, but: application/vnd.cncf.helm.config.v1+json, application/vnd.dev.cosign.simplesigning.v1+json, application/vnd.example, attestation-manifest", l.root)
	refused(t, "is no image, but: application/vnd.example", "--reference", others[1]["digest"].(string), l.root)
}

// A layout may lack the images of other platforms, and a broken one does not
// stand in the way of another.
func TestIncompleteLayouts(t *testing.T) {
	l := newLayout(t)
	image := forPlatform(machine.String(), l.image("", machine, saying("image"), program(t)))
	missing := with(image, "digest", "sha256:"+strings.Repeat("0", 64))
	foreign := forPlatform("linux/riscv64", missing)
	l.top(named("all", l.index(foreign, image)), named("broken", missing))
	if got := said(t, imported(t, memoryDir(t), "--reference", "all", l.root)); got != "image" {
		t.Errorf("it is %s", got)
	}
	refused(t, "no such file", "--reference", "broken", l.root)
	refused(t, "say which by --reference: all, broken", l.root)
}

// The directory of `skopeo copy … dir:`.
func TestDirForm(t *testing.T) {
	l := newLayout(t)
	layer := program(t)
	text := imageText(t, saying("dir"), layer)
	manifest := toJSON(t, entryOf{
		"schemaVersion": 2, "config": entryOf{"mediaType": vnd + "config.v1+json", "digest": digestOf(text), "size": len(text)},
		"layers": []any{entryOf{"mediaType": vnd + "layer.v1.tar", "digest": digestOf(layer), "size": len(layer)}},
	})
	must(t, os.RemoveAll(l.root+"/oci-layout"))
	for name, data := range map[string][]byte{"version": []byte("Directory Transport Version: 1.1\n"), "manifest.json": manifest,
		strings.TrimPrefix(digestOf(text), "sha256:"): text, strings.TrimPrefix(digestOf(layer), "sha256:"): layer} {
		l.write(name, data)
	}
	for _, args := range [][]string{{}, {"--reference", digestOf(text)}, {"--reference", digestOf(manifest)}} {
		if got := said(t, imported(t, memoryDir(t), append(args, l.root)...)); got != "dir" {
			t.Errorf("%v: it is %s", args, got)
		}
	}
	refused(t, digestOf(manifest), "--reference", "x:1", l.root)
	must(t, os.WriteFile(l.root+"/"+strings.TrimPrefix(digestOf(layer), "sha256:"), layer[1:], 0o644))
	refused(t, "its manifest says", l.root)
}

// An image may have no layers, and one of docker's first format says so.
func TestUnusualManifests(t *testing.T) {
	l := newLayout(t)
	l.top(l.image("", machine, saying("nothing")))
	if got := said(t, imported(t, memoryDir(t), l.root)); got != "nothing" {
		t.Errorf("it is %s", got)
	}
	l.top(l.blob("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"schemaVersion": 1, "fsLayers": []}`)))
	refused(t, "docker's first format", l.root)
}
