package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"lithos/cmd/lithos_import/untar"
)

// startRegistry runs Debian's docker-registry and gives its host and port.
func startRegistry(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: '127.0.0.1:0'}\n%s", dir, more), 0o644))
	cmd := exec.Command("docker-registry", "serve", config)
	log, err := cmd.StderrPipe()
	must(t, err)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (apt-get install docker-registry)", err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		if at := regexp.MustCompile(`listening on (127\.0\.0\.1:[0-9]+)`).FindStringSubmatch(line); at != nil {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return at[1]
		}
		must(t, err)
	}
}

// push copies an image of a layout to the registry.
func push(t *testing.T, from, to string, args ...string) {
	t.Helper()
	tool(t, "skopeo", append(args, "copy", "--dest-tls-verify=false", from, "docker://"+to)...)
}

// An image of a registry becomes the same as that of the layout it was pushed
// from, by tag and by digest, in both kinds of manifests.
func TestPull(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	oci := layout(t, "gzip", everything, layersWith(t, nil)...)
	want := imported(t, memoryDir(t), oci)
	host := startRegistry(t, "")
	push(t, "oci:"+oci+":test", host+"/some/web:1")
	tool(t, "skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", "oci:"+oci+":test", "docker://"+host+"/web:docker")
	out, err := exec.Command("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+host+"/some/web:1").Output()
	must(t, err)
	digest := strings.TrimSpace(string(out))
	for _, name := range []string{host + "/some/web:1", "docker://" + host + "/some/web:1", host + "/some/web@" + digest, host + "/some/web:1@" + digest, host + "/web:docker"} {
		images := memoryDir(t)
		r := imported(t, images, name)
		if r.Reference != strings.TrimPrefix(name, "docker://") || len(r.Layers) != 3 {
			t.Errorf("%+v", r)
		}
		got, same := tree(t, r.Path), tree(t, want.Path)
		for file := range same {
			if got[file] != same[file] && !strings.HasPrefix(file, "config/") && file != metadataFile {
				t.Errorf("%s: %s is\n  %s, want\n  %s", name, file, got[file], same[file])
			}
		}
		if len(got) != len(same) || len(names(t, images)) != 1 {
			t.Errorf("%s: %d files, want %d; the image-dir has %v", name, len(got), len(same), names(t, images))
		}
		if name != host+"/web:docker" && r.Digest != want.Digest {
			t.Errorf("%s: digest %s, want %s", name, r.Digest, want.Digest)
		}
	}
	refused(t, "there is no image "+host+"/some/web:none in the registry", host+"/some/web:none")
	refused(t, "there is no image", host+"/some/web@sha256:"+strings.Repeat("0", 64))
	refused(t, "no name of an image", host+"/Web:1")
}

// The platform is chosen in the index of a registry.
func TestPullForPlatform(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	l := newLayout(t)
	var list []entryOf
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7"} {
		parts := strings.Split(p+"/", "/")
		list = append(list, forPlatform(p, l.image("gzip", platform{parts[0], parts[1], parts[2]}, saying(p), program(t))))
	}
	l.top(named("all", l.index(list...)))
	host := startRegistry(t, "")
	tool(t, "skopeo", "copy", "--all", "--dest-tls-verify=false", "oci:"+l.root+":all", "docker://"+host+"/all")
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7"} {
		if got := said(t, imported(t, memoryDir(t), "--platform", p, host+"/all")); got != p {
			t.Errorf("%s is %s", p, got)
		}
	}
	refused(t, "no image for linux/s390x", "--platform", "linux/s390x", host+"/all")
}

// Credentials are those that docker login has written.
func TestPullWithCredentials(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	must(t, err)
	passwords := tempFile(t, fmt.Appendf(nil, "somebody:%s\n", hash))
	host := startRegistry(t, "auth: {htpasswd: {realm: test, path: "+passwords+"}}\n")
	oci := layout(t, "gzip", saying("private"), program(t))
	tool(t, "skopeo", "copy", "--dest-creds", "somebody:secret", "--dest-tls-verify=false", "oci:"+oci+":test", "docker://"+host+"/private:1")

	docker := t.TempDir()
	t.Setenv("DOCKER_CONFIG", docker)
	refused(t, "use docker login "+host, host+"/private:1")
	login := func(password string) {
		text := base64.StdEncoding.EncodeToString([]byte("somebody:" + password))
		must(t, os.WriteFile(docker+"/config.json", toJSON(t, entryOf{"auths": entryOf{host: entryOf{"auth": text}}}), 0o600))
	}
	login("wrong")
	refused(t, "use docker login "+host, host+"/private:1")
	login("secret")
	if got := said(t, imported(t, memoryDir(t), host+"/private:1")); got != "private" {
		t.Errorf("it is %s", got)
	}
	must(t, os.WriteFile(docker+"/config.json", []byte("{"), 0o600))
	refused(t, "config.json", host+"/private:1")
}

// proxied puts a server in front of a registry that may change its answers.
func proxied(t *testing.T, host string, change func(*http.Response) error) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	proxy.ModifyResponse = change
	proxy.ErrorLog, proxy.FlushInterval = nil, -1
	s := httptest.NewServer(proxy)
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// cut breaks off after some bytes.
type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		panic(http.ErrAbortHandler)
	}
	n, err := c.ReadCloser.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// pullImage has one layer that does not become smaller by compression.
func pullImage(t *testing.T, host string) (name string, size int) {
	t.Helper()
	var noise strings.Builder
	for i := range 20_000 {
		noise.WriteString(digestOf([]byte{byte(i), byte(i >> 8)})[7:])
	}
	layer := archive(t, entry{name: "x", mode: 0o755}, file("noise", noise.String()))
	oci := layout(t, "gzip", saying("big"), layer)
	push(t, "oci:"+oci+":test", host+"/big:1")
	return "/big:1", len(pack(t, "gzip", layer))
}

// A download that breaks off goes on where it stopped, in the same run and in a
// later one.
func TestPullGoesOn(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	host := startRegistry(t, "")
	name, size := pullImage(t, host)
	var sent, ranges atomic.Int64
	breaks := atomic.Bool{}
	breaks.Store(true)
	front := proxied(t, host, func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, "/blobs/") || r.ContentLength < 1000 {
			return nil
		}
		if r.StatusCode == http.StatusPartialContent {
			ranges.Add(1)
		}
		if breaks.Load() {
			r.Body = &cut{r.Body, size / 6}
			sent.Add(int64(size / 6))
		}
		return nil
	})
	waited := 0
	pull := func(images string) error { return pullTo(t, front+name, images, &waited) }
	images := memoryDir(t)
	if err := pull(images); err != nil || ranges.Load() < 4 || waited == 0 {
		t.Fatalf("%v, %d parts, waited %d times", err, ranges.Load(), waited)
	}

	// The download gives up when the registry breaks off before the first byte.
	// The bytes that came earlier are kept.
	images = memoryDir(t)
	ranges.Store(0)
	dead := proxied(t, host, func(r *http.Response) error {
		if strings.Contains(r.Request.URL.Path, "/blobs/") && r.ContentLength > 1000 {
			left := 0
			if r.StatusCode == http.StatusOK && ranges.Add(1) == 1 {
				left = size / 2
			}
			r.Body = &cut{r.Body, left}
		}
		return nil
	})
	alive := front
	front, waited = dead, 0
	if err := pull(images); err == nil || !strings.Contains(err.Error(), "cannot fetch") || waited != maxFailures-1 {
		t.Fatalf("%v, waited %d times", err, waited)
	}
	front = alive
	breaks.Store(false)
	kept := 0
	must(t, filepath.Walk(images, func(path string, info os.FileInfo, err error) error {
		if err == nil && len(info.Name()) == 64 {
			kept = int(info.Size())
		}
		return err
	}))
	ranges.Store(0)
	if err := pull(images); err != nil || ranges.Load() != 1 || kept != size/2 {
		t.Errorf("%v, %d parts, %d bytes were kept of %d", err, ranges.Load(), kept, size)
	}
}

// pullTo downloads and unpacks an image without waiting between attempts, which
// it counts.
func pullTo(t *testing.T, name, images string, waited *int) error {
	t.Helper()
	r, err := openRegistry(name, false)
	must(t, err)
	r.sleep = func(time.Duration) { *waited++ }
	img, err := findImage(r, choice{platform: machine})
	must(t, err)
	digits, err := hexOf(img.digest)
	must(t, err)
	w, err := openWork(images, digits, "", false, func() {})
	must(t, err)
	defer w.lock.Close()
	return w.apply(r, img, untar.Options{MaxBytes: 1 << 30, MaxEntries: 100}, &progress{})
}

// A registry without Range requests sends the layer from its beginning again.
func TestPullWithoutRanges(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	host := startRegistry(t, "")
	name, size := pullImage(t, host)
	var attempts, breaks atomic.Int64
	front := proxied(t, host, func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, "/blobs/") || r.ContentLength < 1000 {
			return nil
		}
		r.Header.Del("Accept-Ranges")
		if attempts.Add(1) <= breaks.Load() {
			r.Body = &cut{r.Body, size / 2}
		}
		return nil
	})
	for _, n := range []int64{2, 1000} {
		attempts.Store(0)
		breaks.Store(n)
		waited := 0
		err := pullTo(t, front+name, memoryDir(t), &waited)
		if want := min(n+1, maxFailures); (err != nil) != (n > maxFailures) || attempts.Load() != want || int64(waited) != want-1 {
			t.Errorf("%v, %d attempts of %d, waited %d times", err, attempts.Load(), want, waited)
		}
	}
}

// Content with another digest is refused.
func TestPullVerifies(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	host := startRegistry(t, "")
	name, _ := pullImage(t, host)
	for what, want := range map[string]string{"/blobs/": "", "/manifests/": "digest mismatch"} {
		first := true
		front := proxied(t, host, func(r *http.Response) error {
			if !strings.Contains(r.Request.URL.Path, what) {
				return nil
			}
			data, err := io.ReadAll(r.Body)
			if first = false; len(data) > 100 {
				data[len(data)/2] ^= 1
			}
			r.Header.Del("Docker-Content-Digest")
			r.Body = io.NopCloser(bytes.NewReader(data))
			return err
		})
		out, err := exec.Command("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+host+name).Output()
		must(t, err)
		byDigest := strings.TrimSuffix(name, ":1") + "@" + strings.TrimSpace(string(out))
		refused(t, want, front+byDigest)
		if first {
			t.Errorf("%s was not asked for", what)
		}
	}
	refused(t, "see --max-size", "--max-size", "1000", host+name)
	refused(t, "127.0.0.1:1/x.tar is no file here, so it was asked for in the registry: ", "127.0.0.1:1/x.tar")
	refused(t, "connection refused", "127.0.0.1:1/x")
}

// Names of registries are told from those of files.
func TestRemoteNames(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.MkdirAll("a.b/layout", 0o755))
	for source, want := range map[string]string{
		"docker.io/library/nginx:1.27": "docker.io/library/nginx:1.27", "localhost/x": "localhost/x:latest", "a.b:5000/c": "a.b:5000/c:latest",
		"docker://nginx": "docker.io/library/nginx:latest", "a.b/layout": "", "a.b/other": "a.b/other:latest",
		"nginx:1.27": "", "web.tar": "", "images/web.tar": "", "./a.c/x": "", "/a.b/x": "", "-": "", "../a.b/x": "",
	} {
		if got, ok := remoteName(source); got != want || ok != (want != "") {
			t.Errorf("%s is %q, want %q", source, got, want)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "[::1]:80": true, "127.1.2.3": true, "docker.io": false, "10.0.0.1:80": false, "localhost.example:80": false} {
		if isLoopback(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}
