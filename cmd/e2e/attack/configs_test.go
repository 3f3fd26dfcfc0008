package attack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// trap is a container config, with its image, that tries to get at the host
// while its container is made.
type trap struct {
	box
	must string
	// refused is what the daemon has to say of it; the container must not be
	// started. "" = it is started, and check looks at it.
	refused string
	check   func(t *testing.T, a *arena, name string)
}

// link makes a symbolic link in the image or the volume.
func link(target string, at ...string) func(image, volume string) error {
	return func(image, volume string) error {
		path := filepath.Join(at...)
		path = strings.NewReplacer("IMAGE", image, "VOLUME", volume).Replace(path)
		return errors.Join(os.RemoveAll(path), os.Symlink(target, path))
	}
}

// node makes a FIFO or a device.
func node(path string, mode uint32, dev uint64) func(image, volume string) error {
	return func(image, volume string) error {
		path := strings.NewReplacer("IMAGE", image, "VOLUME", volume).Replace(path)
		return errors.Join(unix.Mknod(path, mode, int(dev)), os.Chmod(path, 0o666))
	}
}

const fifo = unix.S_IFIFO | 0o666

var zero = unix.Mkdev(1, 5)

func traps(a *arena) []trap {
	host := a.path("host")
	waits := []string{"wait"}
	where := []string{"where", host}
	config := func(name string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "config-" + name, file: "/config/evil.yaml", args: waits, prepare: prepare}, refused: refused,
			must: "the config is looked up inside the image, and only a file of bounded size is read"}
	}
	point := func(name string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "point-" + name, args: waits, prepare: prepare, config: "volumes: {/extra/evil: !Tmpfs {size: 1Mi}}"}, refused: refused,
			must: "a mount point is looked up inside the container"}
	}
	etc := func(name, lines string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "etc-" + name, args: where, prepare: prepare, config: lines}, refused: refused, check: sawNothing,
			must: "nothing is mounted on, or written to, a file of the host"}
	}
	stdout := func(name, path string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "stdout-" + name, args: waits, prepare: prepare, config: "stdout-stderr-file: " + path}, refused: refused,
			must: "the file is opened inside the container, as its user, and by no magic link"}
	}
	workdir := func(name, path string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "workdir-" + name, args: where, prepare: prepare, config: "workdir: " + path}, refused: refused, check: sawNothing,
			must: "the working directory is no descriptor of PID 1 (CVE-2024-21626)"}
	}
	sub := func(name, kind string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "sub-" + name, args: where, prepare: prepare,
			config: "volumes: {/extra: " + kind + ", /out: !Persistent {path: VOLUME}}"}, refused: refused, check: sawNothing,
			must: "the path of a volume is looked up inside the sandbox's directory"}
	}
	secret := func(name string, prepare func(image, volume string) error, refused string) trap {
		return trap{box: box{name: "secret-" + name, args: waits, prepare: prepare, config: "secret-environ-file: /extra/evil"}, refused: refused,
			must: "the file of secrets is looked up inside the image"}
	}
	up := "../../../../../../../.." + host
	list := []trap{
		config("link-absolute", link(host+"/box.yaml", "IMAGE/config/evil.yaml"), "evil.yaml"),
		config("link-up", link(up+"/box.yaml", "IMAGE/config/evil.yaml"), "evil.yaml"),
		config("directory-link", nil, "box.yaml"),
		config("magic-link", link("/proc/self/root"+host+"/box.yaml", "IMAGE/config/evil.yaml"), "evil.yaml"),
		config("fifo", node("IMAGE/config/evil.yaml", fifo, 0), "regular file"),
		config("device", node("IMAGE/config/evil.yaml", unix.S_IFCHR|0o666, zero), "regular file"),
		config("huge", func(image, _ string) error {
			return errors.Join(os.WriteFile(image+"/config/evil.yaml", nil, 0o644), os.Truncate(image+"/config/evil.yaml", 1<<40))
		}, "evil.yaml"),
		config("directory", func(image, _ string) error { return os.Mkdir(image+"/config/evil.yaml", 0o755) }, "evil.yaml"),

		point("link-absolute", link(host+"/directory", "IMAGE/extra/evil"), "no such directory in the container"),
		point("link-up", link(up+"/directory", "IMAGE/extra/evil"), "no such directory in the container"),
		point("magic-link", link("/proc/self/root", "IMAGE/extra/evil"), "cannot mount"),
		point("magic-link-of-pid1", link("/proc/1/root", "IMAGE/extra/evil"), "cannot mount"),
		point("descriptor", link("/proc/self/fd/5", "IMAGE/extra/evil"), "cannot mount"),
		point("fifo", node("IMAGE/extra/evil", fifo, 0), "the mount point is none"),
		point("device", node("IMAGE/extra/evil", unix.S_IFBLK|0o666, unix.Mkdev(7, 0)), "the mount point is none"),
		point("loop", link("/extra/evil", "IMAGE/extra/evil"), "cannot mount"),

		etc("hosts-link", "hosts-file: {mount: true}", link(host+"/canary", "IMAGE/etc/hosts"), "no symbolic links"),
		etc("hosts-fifo", "hosts-file: {mount: true}", node("IMAGE/etc/hosts", fifo, 0), "regular file"),
		etc("resolv-link", "resolv-conf: {mount: true}", link(host+"/canary", "IMAGE/etc/resolv.conf"), "no symbolic links"),
		etc("hosts-link-by-default", "", link(host+"/canary", "IMAGE/etc/hosts"), ""),
		etc("resolv-link-by-default", "", link(up+"/canary", "IMAGE/etc/resolv.conf"), ""),
		etc("directory-link", "", link(host, "IMAGE/etc"), ""),

		stdout("link-absolute", "/out/evil", link(host+"/new", "VOLUME/evil"), "cannot open stdout-stderr-file"),
		stdout("link-up", "/out/evil", link(up+"/new", "VOLUME/evil"), "cannot open stdout-stderr-file"),
		stdout("record", "/proc/self/fd/4", nil, "cannot open stdout-stderr-file"),
		stdout("descriptor-up", "/out/evil/new", link("/proc/self/fd/5/../../../../.."+host, "VOLUME/evil"), "cannot open stdout-stderr-file"),
		stdout("magic-link-of-pid1", "/proc/1/root/out/evil", nil, "cannot open stdout-stderr-file"),
		stdout("fifo", "/out/evil", node("VOLUME/evil", fifo, 0), "neither a regular file nor a character device"),
		stdout("device", "/out/evil", node("VOLUME/evil", unix.S_IFCHR|0o666, zero), "cannot open stdout-stderr-file"),
		stdout("sysctl", "/proc/sys/kernel/core_pattern", nil, "cannot open stdout-stderr-file"),
		stdout("image", "/bin/new", nil, "cannot open stdout-stderr-file"),
		rootDirectory(stdout("of-another-user", "/out/closed/log", nil, "the program's user has to be able to write it")),

		workdir("descriptor-3", "/proc/self/fd/3", nil, "cannot enter the workdir"),
		workdir("descriptor-4", "/proc/self/fd/4", nil, "cannot enter the workdir"),
		workdir("descriptor-5", "/proc/self/fd/5", nil, "cannot enter the workdir"),
		workdir("descriptor-6", "/proc/self/fd/6", nil, "cannot enter the workdir"),
		workdir("link-to-descriptor", "/extra/evil", link("/proc/self/fd/5", "IMAGE/extra/evil"), "cannot enter the workdir"),
		workdir("link-absolute", "/extra/evil", link(host, "IMAGE/extra/evil"), "cannot enter the workdir"),
		workdir("root-of-itself", "/proc/self/root", nil, ""),

		sub("link-absolute", "!Persistent {path: VOLUME/evil}", link(host, "VOLUME/evil"), "no such directory"),
		sub("link-up", "!Persistent {path: VOLUME/evil}", link(up, "VOLUME/evil"), "no such directory"),
		sub("link-on-the-way", "!Persistent {path: VOLUME/evil/directory}", link(host, "VOLUME/evil"), "no such directory"),
		sub("mkdir-by-a-link", "!Persistent {path: VOLUME/evil/new, mkdir: true}", link(host, "VOLUME/evil"), "cannot mount"),
		sub("readonly-link", "!Readonly {path: VOLUME/evil}", link(host, "VOLUME/evil"), "no such"),
		sub("magic-link", "!Persistent {path: VOLUME/evil}", link("/proc/self/root"+host, "VOLUME/evil"), "cannot mount"),
		sub("dots", "!Persistent {path: VOLUME/../../host}", nil, "`..`"),
		sub("state-dots", "!Statedir {path: /../../../../host}", nil, "`..`"),

		secret("link-absolute", link(host+"/canary", "IMAGE/extra/evil"), "no such file or directory"),
		secret("link-up", link(up+"/canary", "IMAGE/extra/evil"), "no such file or directory"),
		secret("magic-link", link("/proc/self/root"+host+"/canary", "IMAGE/extra/evil"), "no such file or directory"),
		secret("fifo", node("IMAGE/extra/evil", fifo, 0), "must be a regular file"),

		{box: box{name: "exe-fifo", args: waits, config: "executable: /extra/evil", prepare: node("IMAGE/extra/evil", fifo, 0)},
			refused: "regular file", must: "no start waits for a FIFO"},
		{box: box{name: "exe-link", args: waits, config: "executable: /extra/evil", prepare: link(host+"/program", "IMAGE/extra/evil")},
			refused: "no such file", must: "no program of the host is run"},
		{box: box{name: "exe-descriptor", args: waits, config: "executable: /proc/self/fd/4"},
			refused: "cannot run", must: "no descriptor of PID 1 is run"},
		{box: box{name: "exe-overwrite", args: []string{"overwrite"}, prepare: link("/bin/attack", "VOLUME/program"),
			config: "executable: /out/program\nrestart-process-only: true\nrestart-timeout: 0.5\nvolumes: {/out: !Persistent {path: VOLUME, exec: true}}"},
			must: "the host's lithos_knot can't be changed (CVE-2019-5736)", check: notOverwritten},
	}
	for i := range list {
		if list[i].name == "config-directory-link" {
			list[i].file, list[i].prepare = "/extra/evil/box.yaml", link(host, "IMAGE/extra/evil")
		}
	}
	return list
}

// rootDirectory gives a trap to a user, and a directory that only root enters.
func rootDirectory(tr trap) trap {
	tr.user = 1000
	tr.prepare = func(_, volume string) error { return os.Mkdir(volume+"/closed", 0o700) }
	return tr
}

// configBoxes are the containers of the traps.
func configBoxes(a *arena) []box {
	_ = os.Mkdir(a.path("host/directory"), 0o777)
	_ = os.Chmod(a.path("host"), 0o777)
	_ = os.WriteFile(a.path("host/box.yaml"), []byte("executable: /bin/attack\narguments: [attack, wait]\nuser-id: 0\n"), 0o644)
	_ = os.Link(a.path("attack"), a.path("host/program"))
	var list []box
	for _, tr := range traps(a) {
		list = append(list, tr.box)
	}
	return list
}

// where looks for the host from its working directory, and in what it was
// given.
func where(args []string) int {
	host := args[0]
	seen := map[string]string{}
	for _, path := range []string{
		host + "/canary", "canary", "../../../../../../../.." + host + "/canary", "/extra/canary", "/etc/canary", "/etc/hosts",
	} {
		if data, err := os.ReadFile(path); err == nil && string(data) == canary {
			seen[path] = string(data)
		}
	}
	return report("/out/seen", seen)
}

// volumeOf is the directory of a container's volume.
func volumeOf(name string) string {
	return strings.TrimSuffix(strings.Replace(name, "/", "-", 1), ".0")
}

// sawNothing waits for what `where` has seen.
func sawNothing(t *testing.T, a *arena, name string) {
	t.Helper()
	seen := map[string]string{}
	reported(t, a, volumeOf(name), "seen", &seen)
	if len(seen) != 0 {
		t.Errorf("the attack succeeded: %q", seen)
	}
}

// overwrite gets PID 1 to execute itself in the container, by a link that it
// changes between two starts of the program, and opens that file for writing.
func overwrite(args []string) int {
	if len(args) == 0 {
		watcher := self("/bin/attack", "overwrite", "watch")
		errs := errors.Join(watcher.Start(), os.Symlink("/proc/self/exe", "/out/next"), os.Rename("/out/next", "/out/program"))
		if errs != nil {
			fmt.Fprintln(os.Stderr, "attack:", errs)
		}
		return 0
	}
	var o outcome
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && o.Detail == ""; {
		list, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, path := range list {
			target, err := os.Readlink(path)
			if err != nil || strings.HasSuffix(target, "/attack") {
				continue
			}
			fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			o = reopen(fd, target)
			_ = unix.Close(fd)
		}
	}
	return report("/out/overwritten", o)
}

// reopen opens a file for writing. Most kernels refuse that while PID 1 itself
// executes the file; nothing but the mount keeps its mode, which is set to what
// it is.
func reopen(fd int, target string) outcome {
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		if err = unix.Chmod(path, st.Mode&0o7777); err != nil {
			err = errors.Join(err, opens(path, unix.O_WRONLY)())
		}
	}
	return outcome{Won: err == nil, Detail: fmt.Sprintf("%s: %v", target, err)}
}

func notOverwritten(t *testing.T, a *arena, name string) {
	t.Helper()
	var o outcome
	reported(t, a, volumeOf(name), "overwritten", &o)
	if o.Won {
		t.Errorf("the attack succeeded: %s", o.Detail)
	}
	t.Log(o.Detail)
}

// Covers: C5, E16, H1, H6, H9, I3, I4, I9, J7, K4
func TestHostileImagesCannotReachTheHost(t *testing.T) {
	a := sharedFor(t)
	for _, s := range wholeSandboxes() {
		t.Run(s.name, func(t *testing.T) {
			for _, tr := range traps(a) {
				t.Run(tr.name, func(t *testing.T) {
					t.Parallel()
					name := s.name + "/" + tr.name + ".0"
					if tr.refused == "" {
						tr.check(t, a, name)
						return
					}
					eventually(t, "it is refused", 20*time.Second, func() error { return saysOf(a, s.name, tr.name, tr.refused) })
					if running := a.processes(name); len(running) != 0 {
						t.Errorf("the container runs; instead: %s", tr.must)
					}
				})
			}
			// When all of them have ended.
			t.Cleanup(func() {
				if list, err := os.ReadDir(a.path("host")); err != nil || len(list) != 4 {
					t.Errorf("the host's directory has %v, %v", list, err)
				}
				if list, err := os.ReadDir(a.path("host/directory")); err != nil || len(list) != 0 {
					t.Errorf("the host's directory has %v in it, %v", list, err)
				}
			})
		})
	}
}

// saysOf looks for a line of the log that is about a process and says a text.
func saysOf(a *arena, sandbox, process, text string) error {
	log := a.log(sandbox)
	about := ""
	for _, line := range strings.Split(log, "\n") {
		if !strings.Contains(line, sandbox+"/"+process+".") && !strings.Contains(line, sandbox+"-"+process+"/") && !strings.Contains(line, " "+process+".") {
			continue
		}
		if strings.Contains(line, text) {
			return nil
		}
		about += line + "\n"
	}
	return fmt.Errorf("the log says of it:\n%s", about)
}
