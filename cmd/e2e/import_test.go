package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// dockerImage makes the tar of a `docker save` with the test binary in it: a
// layer with more than there should be, and one that takes it away.
func dockerImage(t *testing.T, config map[string]any, more ...[]byte) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	members := map[string][]byte{"usr/bin/e2e": program}
	for _, library := range libraries() {
		members[library], err = os.ReadFile(library)
		must(t, err)
	}
	lower := tarFile(t, members, "usr/bin/old", "root:x:0:0::/:/\nweb:x:33:44::/www:/\n", "etc/passwd")
	upper := tarFile(t, nil, "usr/bin/.wh.old", "", "")
	var ids, files []string
	archived := map[string][]byte{}
	for i, layer := range append([][]byte{lower, upper}, more...) {
		ids = append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(layer)))
		files = append(files, fmt.Sprintf("%d/layer.tar", i))
		archived[files[i]] = layer
	}
	text, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	must(t, err)
	name := fmt.Sprintf("%x.json", sha256.Sum256(text))
	manifest, err := json.Marshal([]any{map[string]any{"Config": name, "RepoTags": []string{"e2e:1"}, "Layers": files}})
	must(t, err)
	archived[name], archived["manifest.json"] = text, manifest
	path := filepath.Join(t.TempDir(), "image.tar")
	must(t, os.WriteFile(path, tarFile(t, archived, "", "", ""), 0o644))
	return path
}

// tarFile packs files, with an empty one and one more.
func tarFile(t *testing.T, members map[string][]byte, empty, text, textName string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(name string, data []byte) {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: 0o755, Size: int64(len(data))}))
		_, err := w.Write(data)
		must(t, err)
	}
	for name, data := range members {
		put(name, data)
	}
	if empty != "" {
		put(empty, nil)
	}
	if textName != "" {
		put(textName, []byte(text))
	}
	must(t, w.Close())
	return b.Bytes()
}

// An image of docker save runs with the container config that was made for it:
// its program found by PATH, its user by name, its environment, its directory,
// its volume.
func TestImportedImageRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	source := dockerImage(t, map[string]any{
		"Entrypoint": []string{"e2e", "e2e-program"}, "Cmd": []string{"report", "/data/seen"}, "User": "web",
		"Env": []string{"PATH=/usr/bin", "COLOUR=green"}, "WorkingDir": "/srv", "Volumes": map[string]any{"/data": map[string]any{}},
	})
	out, err := exec.Command(filepath.Join(binDir, "lithos_import"), "--json", "--image-dir", h.path("images"), source).Output()
	if err != nil {
		t.Fatal(err)
	}
	var imported struct{ Image, Config string }
	must(t, json.Unmarshal(out, &imported))
	if !strings.HasPrefix(imported.Image, "sha256-") {
		t.Fatalf("%s", out)
	}
	h.sandbox("box", "writable-paths: {/volumes: "+h.path("data")+"}\nallow-users: [33]\nallow-groups: [44]\n",
		fmt.Sprintf("app: {image: %s, config: %s}\n", imported.Image, imported.Config))
	if r := h.check(); r.code != 0 {
		t.Errorf("lithos_check: %d %s%s", r.code, r.stdout, r.stderr)
	}
	h.start()
	h.running("box/app.0")
	var s seen
	eventually(t, "its report", 10*time.Second, func() error {
		return json.Unmarshal([]byte(h.read("data", "data", "seen")), &s)
	})
	env := strings.Join(s.Env, " ")
	if s.UID != 33 || s.GID != 44 || s.Workdir != "/srv" || !strings.Contains(env, "COLOUR=green") || !strings.Contains(env, "HOME=/www") {
		t.Errorf("as %d:%d in %s with %s", s.UID, s.GID, s.Workdir, env)
	}
	if _, err := os.Stat(h.path("images", imported.Image, "usr/bin/old")); !os.IsNotExist(err) {
		t.Errorf("what the upper layer took away is there: %v", err)
	}
}

// An image whose resolv.conf is a dangling link, without /run, for a user that it
// does not know: the program sees a resolv.conf, is in the group 0, and has the
// mounts of the made config, also the one that stands in it as a comment.
func TestImportedImageSeesWhatItExpects(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var link bytes.Buffer
	w := tar.NewWriter(&link)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "etc/resolv.conf", Linkname: "../run/systemd/resolve/stub-resolv.conf"}))
	must(t, w.Close())
	source := dockerImage(t, map[string]any{
		"Entrypoint": []string{"/usr/bin/e2e", "e2e-program"}, "Cmd": []string{"report", "/data/seen"}, "User": "1001", "Volumes": map[string]any{"/data": map[string]any{}},
	}, link.Bytes())
	if out, err := exec.Command(filepath.Join(binDir, "lithos_import"), "--name", "app.v1", "--image-dir", h.path("images"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := h.path("images", "app.v1", "config", "image.yaml")
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, bytes.ReplaceAll(text, []byte("# /run: !Tmpfs"), []byte("/run: !Tmpfs")), 0o644))
	must(t, os.WriteFile(h.path("resolv.conf"), []byte("nameserver 192.0.2.53\n"), 0o644))
	h.sandbox("box", "resolv-conf: "+h.path("resolv.conf")+"\nwritable-paths: {/volumes: "+h.path("data")+"}\nallow-users: [1001]\nallow-groups: [0]\n",
		"app: {image: app.v1, config: /config/image.yaml}\n")
	if r := h.check(); r.code != 0 {
		t.Errorf("lithos_check: %d %s%s", r.code, r.stdout, r.stderr)
	}
	h.start()
	h.running("box/app.0")
	var s seen
	eventually(t, "its report", 10*time.Second, func() error {
		return json.Unmarshal([]byte(h.read("data", "data", "seen")), &s)
	})
	if s.UID != 1001 || s.GID != 0 || s.Resolv != "nameserver 192.0.2.53\n" {
		t.Errorf("as %d:%d, resolv.conf is %q", s.UID, s.GID, s.Resolv)
	}
	mounts := s.mounts()
	for _, point := range []string{"/run", "/dev/shm", "/data", "/etc/resolv.conf"} {
		if _, ok := mounts[point]; !ok {
			t.Errorf("nothing is mounted at %s", point)
		}
	}
}
