package attack

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/cmd/e2e/machine"
)

// litter fills its state directory with what is hard to remove, and ends.
func litter([]string) int {
	must := func(err error) {
		if err != nil {
			fmt.Println("litter:", err)
		}
	}
	if _, err := os.Stat("/state/deep"); err == nil {
		fmt.Println("litter: it is still there")
	}
	must(os.Mkdir("/state/deep", 0o700))
	must(os.Chdir("/state/deep"))
	for range 400 {
		must(unix.Mkdir("d", 0o700))
		must(unix.Chdir("d"))
	}
	must(os.WriteFile("bottom", nil, 0o600))
	must(os.Chdir("/state"))
	must(os.Mkdir("many", 0o777))
	for i := range 300 {
		fd, err := unix.Open(fmt.Sprintf("many/%d\n\xff", i), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			must(err)
			break
		}
		must(unix.Close(fd))
	}
	must(unix.Mkfifo("fifo", 0o666))
	must(os.Symlink("/out", "link"))
	must(os.Symlink("..", "up"))
	must(os.Link("many/1\n\xff", "hard"))
	must(os.MkdirAll("closed/inside", 0o700))
	if f, err := os.Create("immutable"); err == nil {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0x10)
		_ = f.Close()
	}
	must(os.Chmod("closed", 0))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	must(unix.Bind(fd, &unix.SockaddrUnix{Name: "/state/socket"}))
	fmt.Println("littered")
	return 9
}

// Covers: I1, M6
func TestLitterInTheStateDirIsRemoved(t *testing.T) {
	t.Parallel()
	const again = "restart-timeout: 0.2"
	attackers := []box{
		{name: "root", args: []string{"litter"}, config: again},
		{name: "user", user: 1000, args: []string{"litter"}, config: again},
	}
	beside(t, "", attackers, func(t *testing.T, a *arena, s sandbox, knots []knot) {
		eventually(t, "three starts of both", 60*time.Second, func() error {
			log := a.read("log/stderr", s.name+".log")
			for _, b := range attackers {
				if n := strings.Count(log, fmt.Sprintf("Starting %q", s.name+"/"+b.name+".0")); n < 3 {
					return fmt.Errorf("%d starts of %s:\n%s", n, b.name, log)
				}
			}
			return nil
		})
		log := a.read("log/stderr", s.name+".log")
		if strings.Contains(log, "still there") || strings.Count(log, "littered") < 4 {
			t.Errorf("the attack succeeded, or failed of itself:\n%s", log)
		}
		// The target of a link in there is unchanged.
		if data, err := os.ReadDir(a.path("volumes", s.name+"-root")); err != nil || len(data) != 0 {
			t.Errorf("the volume has %v, %v", data, err)
		}
		neighbourLives(t, a, s, knots)
	})
}

// swap makes a name in its volume a directory and a link to the host, in turn,
// as fast as it can.
func swap([]string) int {
	fmt.Println("swapping")
	for {
		if err := unix.Renameat2(unix.AT_FDCWD, "/out/x", unix.AT_FDCWD, "/out/y", unix.RENAME_EXCHANGE); err != nil {
			fmt.Println("swap:", err)
			return 70
		}
	}
}

// A path that changes while a container is started leads out of it no more than
// one that doesn't.
//
// Covers: E16, H3
func TestPathsSwappedDuringTheStart(t *testing.T) {
	t.Parallel()
	for _, s := range wholeSandboxes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			a := ownArena(t)
			volume := s.name + "-swap"
			victim := func(name, config string) box {
				return box{name: name, args: []string{"peek"}, config: "restart-timeout: 0.01\n" + config}
			}
			must(t, a.add(s.name, s.config,
				box{name: "swap", args: []string{"swap"}, prepare: func(_, volume string) error {
					return errors.Join(os.Mkdir(volume+"/x", 0o777), os.Symlink(a.path("host"), volume+"/y"))
				}},
				victim("volume", "volumes: {/extra: !Persistent {path: /volumes/"+volume+"/x}, /out: !Persistent {path: VOLUME}}"),
				victim("below", "volumes: {/extra: !Persistent {path: /volumes/"+volume+"/x/directory, mkdir: true}, /out: !Persistent {path: VOLUME}}"),
				victim("point", "volumes: {/extra: !Persistent {path: /volumes/"+volume+"}, /extra/x: !Tmpfs {size: 1Mi}, /out: !Persistent {path: VOLUME}}"),
				victim("stdout", "stdout-stderr-file: /extra/x/new\nvolumes: {/extra: !Persistent {path: /volumes/"+volume+"}, /out: !Persistent {path: VOLUME}}"),
			))
			must(t, os.Mkdir(a.path("host/directory"), 0o777))
			must(t, os.Chmod(a.path("host"), 0o777))
			must(t, a.start())
			starts := int(max(30/machine.Slow, 5))
			eventually(t, fmt.Sprintf("%d starts of each", starts), 90*time.Second, func() error {
				log := a.log(s.name)
				for _, name := range []string{"volume", "below", "point", "stdout"} {
					if n := strings.Count(log, fmt.Sprintf("Started container %q", s.name+"/"+name+".0")); n < starts {
						return fmt.Errorf("%d starts of %s", n, name)
					}
				}
				return nil
			})
			if !strings.Contains(a.log(s.name), "swapping") || strings.Contains(a.log(s.name), "swap: ") {
				t.Errorf("nothing was swapped:\n%s", a.read("log/stderr", s.name+".log"))
			}
			for _, name := range []string{"volume", "below", "point", "stdout"} {
				if text := a.read("volumes", s.name+"-"+name, "peeked"); text != "" {
					t.Errorf("the attack succeeded: %s saw %q", name, text)
				}
			}
			for dir, want := range map[string]int{"host": 2, "host/directory": 0} {
				if list, err := os.ReadDir(a.path(dir)); err != nil || len(list) != want {
					t.Errorf("the host's %s has %v, %v", dir, list, err)
				}
			}
		})
	}
}

// peek looks once for the host's file, says it if it saw it, and ends.
func peek([]string) int {
	for _, path := range []string{"/extra/canary", "/extra/x/canary", "/extra/../canary"} {
		if data, err := os.ReadFile(path); err == nil && string(data) == canary {
			_ = os.WriteFile("/out/peeked", []byte(path), 0o666)
		}
	}
	return 8
}
