package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/template"
)

// sandbox and process are the names that the configs in etc/ give.
const (
	sandbox = "demo"
	process = "hello"
	image   = "hello.v1"
)

// The configs of the host; {{…}} is filled in.
//
//go:embed etc
var etc embed.FS

// options are the command line and the environment.
type options struct {
	bin, hello, config string
	dir, port          string // "" = choose one
	check              bool   // unattended
}

// host is a whole host's worth of configs, images and state in one directory.
type host struct {
	Dir    string // absolute
	Port   int
	Cgroup string

	keepDir bool // Dir itself was there before
	bin     string
	hello   string
	config  string
}

// newHost finds the place and the port, and makes the directory.
func newHost(o options) (*host, error) {
	h := &host{hello: o.hello, config: o.config, Cgroup: fmt.Sprintf("lithos-demo-%d.slice", os.Getpid())}
	var err error
	if h.bin, err = filepath.Abs(o.bin); err != nil {
		return nil, err
	}
	if _, err := os.Stat(h.program("lithos_tree")); err != nil {
		return nil, fmt.Errorf("the programs are missing, run make build first: %w", err)
	}
	if h.Port, err = choosePort(o.port, !o.check); err != nil {
		return nil, err
	}
	if o.dir != "" {
		h.Dir, h.keepDir, err = givenDir(o.dir)
	} else {
		h.Dir, err = tempDir([]string{os.TempDir(), "/var/tmp", "/var/lib"})
	}
	return h, err
}

func (h *host) program(name string) string { return filepath.Join(h.bin, name) }
func (h *host) path(elem ...string) string {
	return filepath.Join(append([]string{h.Dir}, elem...)...)
}
func (h *host) master() string    { return h.path("etc", "master.yaml") }
func (h *host) processes() string { return h.path("etc", "processes", sandbox+".yaml") }
func (h *host) stdioLog() string  { return h.path("log", "stderr", sandbox+".log") }
func (h *host) pidFile() string   { return h.path("run", "master.pid") }
func (h *host) url() string       { return fmt.Sprintf("http://127.0.0.1:%d/", h.Port) }

// choosePort takes the port that was asked for, or a free one. For a visitor
// it is 8080 or one of the next, because they are easy to type; checks that
// run at the same time need ports that others don't look for.
func choosePort(asked string, easy bool) (int, error) {
	if asked != "" {
		port, err := strconv.ParseUint(asked, 10, 16)
		if err != nil || port == 0 {
			return 0, fmt.Errorf("DEMO_PORT is %q, expected a port, 1-65535", asked)
		}
		if !portIsFree(int(port)) {
			return 0, fmt.Errorf("DEMO_PORT %d on 127.0.0.1 is in use, choose another", port)
		}
		return int(port), nil
	}
	for port := 8080; easy && port < 8100; port++ {
		if portIsFree(port) {
			return port, nil
		}
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("cannot find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

func portIsFree(port int) bool {
	ln, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// plainPath is a path that needs no quotes anywhere.
var plainPath = regexp.MustCompile(`^[\w./+-]+$`)

// givenDir prepares DEMO_DIR. It has to be new or empty, so that everything
// in it may be removed at the end.
func givenDir(dir string) (path string, existed bool, err error) {
	if path, err = filepath.Abs(dir); err != nil {
		return "", false, err
	}
	if !plainPath.MatchString(path) {
		return "", false, fmt.Errorf("DEMO_DIR %q has characters that would have to be quoted in configs and commands: name another", path)
	}
	switch entries, err := os.ReadDir(path); {
	case err == nil && len(entries) > 0:
		return "", false, fmt.Errorf("DEMO_DIR %s is not empty: name a new or an empty directory", path)
	case err == nil:
		existed = true
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(path, 0o755); err != nil {
			return "", false, fmt.Errorf("cannot make DEMO_DIR: %w", err)
		}
	default:
		return "", false, fmt.Errorf("cannot use DEMO_DIR: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the mount table has no links in its paths
		return "", false, err
	}
	if !fitForHost(path) {
		if !existed {
			os.Remove(path)
		}
		return "", false, fmt.Errorf("DEMO_DIR %s lies on a file system mounted with nodev or noexec: containers could not use it", path)
	}
	return path, existed, nil
}

// tempDir makes a directory in the first place where device nodes and
// programs work: many systems mount /tmp with nodev.
func tempDir(places []string) (string, error) {
	for _, place := range places {
		place, err := filepath.EvalSymlinks(place)
		if err != nil || !fitForHost(place) {
			continue
		}
		dir, err := os.MkdirTemp(place, "lithos-demo-")
		if err != nil {
			continue
		}
		return dir, os.Chmod(dir, 0o755)
	}
	return "", fmt.Errorf("none of %s can be written and is mounted without nodev and noexec: name a directory with DEMO_DIR",
		strings.Join(places, ", "))
}

func fitForHost(dir string) bool {
	const noDev, noExec = 4, 8 // ST_NODEV, ST_NOEXEC of statfs(2)
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && s.Flags&(noDev|noExec) == 0
}

// build fills the directory: configs, image, devices and the data directory.
func (h *host) build() error {
	root := h.path("images", image)
	dirs := []string{h.path("data")}
	// Nothing is ever made inside an image: where something is mounted, the
	// directory has to be there.
	for _, dir := range []string{"bin", "config", "dev", "proc", "sys", "tmp", "var/lib/hello"} {
		dirs = append(dirs, filepath.Join(root, dir))
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make the demo's host: %w", err)
		}
	}
	if err := copyFile(h.hello, filepath.Join(root, "bin", "hello"), 0o755); err != nil {
		return err
	}
	if err := copyFile(h.config, filepath.Join(root, "config", "hello.yaml"), 0o644); err != nil {
		return err
	}
	if err := h.writeConfigs(); err != nil {
		return err
	}
	mkdev := exec.Command(h.program("lithos_mkdev"), h.path("dev"))
	mkdev.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours
	if out, err := mkdev.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make the devices: lithos_mkdev: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (h *host) writeConfigs() error {
	return fs.WalkDir(etc, "etc", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(h.path(path), 0o755)
		}
		t, err := template.ParseFS(etc, path)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(h.path(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		return t.Execute(f, h)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	body, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("cannot make the image, run make build first: %w", err)
	}
	return os.WriteFile(to, body, mode)
}

// remove takes the directory away. Where something is still mounted below it
// the files stay: to remove them could remove what they stand for.
func (h *host) remove() error {
	mounts, err := mountsBelow(h.Dir)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s stays, something is mounted there: %s", h.Dir, strings.Join(mounts, ", "))
	}
	if !h.keepDir {
		return os.RemoveAll(h.Dir)
	}
	entries, err := os.ReadDir(h.Dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(h.path(e.Name())))
	}
	return err
}
