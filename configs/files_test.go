package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A2: the developer owns all that is in the image and may be hostile; whatever
// is there in the place of a container config costs an error, bounded in time
// and memory, and shows nothing of the host.
//
// Covers: A2, E8
func TestHostileContainerConfigs(t *testing.T) {
	need := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("cannot make the hostile file (this test needs root): %v", err)
		}
	}
	secret := "root:x:this is on the host"
	for _, c := range []struct {
		name, want string
		make       func(t *testing.T, host, file string)
	}{
		{"a FIFO", "it is a FIFO, a config must be a regular file", func(t *testing.T, _, file string) {
			need(t, unix.Mkfifo(file, 0o644))
		}},
		{"a device that never ends", "it is a device, a config must be a regular file", func(t *testing.T, _, file string) {
			need(t, unix.Mknod(file, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))))
		}},
		{"a socket", "it is a socket, a config must be a regular file", func(t *testing.T, _, file string) {
			need(t, unix.Mknod(file, unix.S_IFSOCK|0o644, 0))
		}},
		{"a directory", "it is a directory, a config must be a regular file", func(t *testing.T, _, file string) {
			need(t, os.Mkdir(file, 0o755))
		}},
		{"a GiB", "the file has 1073741824 bytes, a config may have at most 1048576", func(t *testing.T, _, file string) {
			writeFile(t, file, "executable: /x\n")
			need(t, os.Truncate(file, 1<<30))
		}},
		{"a loop of links", "too many levels of symbolic links", func(t *testing.T, _, file string) {
			need(t, os.Symlink(filepath.Base(file), file))
		}},
		{"a link to a file of the host", "no such file or directory", func(t *testing.T, host, file string) {
			need(t, os.Symlink(host+"/secret", file))
		}},
		{"a link up and out", "no such file or directory", func(t *testing.T, host, file string) {
			need(t, os.Symlink(strings.Repeat("../", 40)+host+"/secret", file))
		}},
		{"a directory that is a link out", "no such file or directory", func(t *testing.T, host, file string) {
			need(t, os.Remove(filepath.Dir(file)))
			need(t, os.Symlink(host, filepath.Dir(file)))
			need(t, os.Rename(host+"/secret", host+"/app.yaml"))
		}},
		{"a link to /proc/self/environ", "no such file or directory", func(t *testing.T, _, file string) {
			need(t, os.Symlink("/proc/self/environ", file))
		}},
		{"the host's /etc/shadow", "no such file or directory", func(t *testing.T, _, file string) {
			need(t, os.Symlink("/etc/shadow", file))
		}},
		{"an anchor bomb", "more than 262144 values", func(t *testing.T, _, file string) {
			text := "a0: &a0 [x, x]\n"
			for i := 1; i < 30; i++ {
				text += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
			}
			writeFile(t, file, text)
		}},
		{"not UTF-8", "the file is not UTF-8 text", func(t *testing.T, _, file string) {
			writeFile(t, file, "executable: \"/\x80\"\n")
		}},
		{"a binary", "the file is not UTF-8 text", func(t *testing.T, _, file string) {
			data, err := os.ReadFile("/proc/self/exe")
			need(t, err)
			writeFile(t, file, string(data[:1<<16]))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := t.TempDir()
			writeFile(t, host+"/secret", secret)
			dir := writeTree(t, hostConfig{process: "app: {image: v1, config: /config/app.yaml}\nfine: {image: v2, config: /app.yaml}\n"}.files())
			need(t, os.Mkdir(dir+"/images/v2", 0o755))
			writeFile(t, dir+"/images/v2/app.yaml", "executable: /x\n")
			file := dir + "/images/v1/config/app.yaml"
			need(t, os.Remove(file))
			c.make(t, host, file)

			type result struct {
				plan     *Plan
				problems Problems
			}
			done := make(chan result, 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			go func() {
				plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
				done <- result{plan, problems}
			}()
			select {
			case r := <-done:
				runtime.ReadMemStats(&after)
				wantProblems(t, r.problems, c.want)
				checkBreakage(t, r.plan, r.problems)
				processes := r.plan.Sandboxes[0].Processes
				equal(t, "broken: the one, not the other", []bool{processes[0].Broken, processes[1].Broken}, []bool{true, false})
				if strings.Contains(format(r.problems), "this is on the host") {
					t.Errorf("what is on the host is shown: %s", format(r.problems))
				}
				if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
					t.Errorf("it took %d MiB of memory", used>>20)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("Load did not return")
			}
		})
	}
}

// A link that is absolute inside the image is as the container sees it.
//
// Covers: D5
func TestLinksInsideTheImageAreFollowed(t *testing.T) {
	dir := writeTree(t, hostConfig{process: "app: {image: v1, config: /etc/link.yaml}\nup: {image: v1, config: /../../config/./app.yaml}\n"}.files())
	if err := os.Mkdir(dir+"/images/v1/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/config/app.yaml", dir+"/images/v1/etc/link.yaml"); err != nil {
		t.Fatal(err)
	}
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems)
	equal(t, "config_filename is as written", plan.Sandboxes[0].Processes[0].Instances[0].Container.ConfigFile, "/etc/link.yaml")
	equal(t, "up stays inside", plan.Sandboxes[0].Processes[1].Broken, false)
}

// Covers: C3, C5
func TestImagesAreRealDirectoriesBelowImageDir(t *testing.T) {
	dir := writeTree(t, hostConfig{process: `
link: {image: link, config: /config/app.yaml}
out: {image: out, config: /config/app.yaml}
file: {image: file, config: /config/app.yaml}
none: {image: none, config: /config/app.yaml}
fine: {image: v1, config: /config/app.yaml}
`}.files())
	for name, target := range map[string]string{"link": "v1", "out": "/"} {
		if err := os.Symlink(target, dir+"/images/"+name); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, dir+"/images/file", "")
	load := func(want ...string) *Plan {
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems, want...)
		checkBreakage(t, plan, problems)
		return plan
	}
	load("web.yaml:2:15: error: link.image: "+dir+"/images/link is, or is reached by, a symbolic link; name the image's directory itself",
		"web.yaml:3:14: error: out.image: "+dir+"/images/out is, or is reached by, a symbolic link",
		"web.yaml:4:15: error: file.image: "+dir+"/images/file is not a directory",
		"web.yaml:5:15: error: none.image: "+dir+"/images/none does not exist")

	// image-dir itself may be a link, and may be gone.
	writeFile(t, dir+"/processes/web.yaml", "app: {image: v1, config: /config/app.yaml}\n")
	if err := os.Rename(dir+"/images", dir+"/elsewhere"); err != nil {
		t.Fatal(err)
	}
	load("web.yaml:1:14: error: app.image: cannot open the image-dir " + dir + "/images: no such file or directory")
	if err := os.Symlink("elsewhere", dir+"/images"); err != nil {
		t.Fatal(err)
	}
	load()
}

// Covers: D12
func TestHostFilesMustBeRegular(t *testing.T) {
	dir := writeTree(t, hostConfig{}.files())
	for _, name := range []string{"processes/web.yaml", "sandboxes/web.yaml", "master.yaml"} {
		if err := os.Remove(dir + "/" + name); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(dir+"/"+name, 0o644); err != nil {
			t.Fatal(err)
		}
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems, dir+"/"+name+": error: cannot read the ")
		checkBreakage(t, plan, problems)
	}
	// A file that can't be opened breaks its own object only.
	if err := os.Remove(dir + "/master.yaml"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/master.yaml", "")
	if err := os.Remove(dir + "/sandboxes/web.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir+"/sandboxes/web.yaml"); err != nil {
		t.Fatal(err)
	}
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems, "sandboxes/web.yaml: error: cannot read the sandbox config: no such file or directory")
	checkBreakage(t, plan, problems)
}
