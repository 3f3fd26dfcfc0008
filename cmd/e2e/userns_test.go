package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tries attempts what a user namespace allows and refuses, and writes how each
// ended: "ok" or an error.
func tries([]string) {
	results := map[string]string{}
	try := func(name string, err error) {
		if results[name] = "ok"; err != nil {
			results[name] = err.Error()
		}
	}
	stat := func(path string) string {
		info, err := os.Stat(path)
		if err != nil {
			return err.Error()
		}
		return owner(info)
	}
	results["image"] = stat("/bin/e2e")
	results["volume"] = stat("/out")
	results["made"] = stat("/made")
	try("write", os.WriteFile("/made/file", nil, 0o600))
	try("sethostname", syscall.Sethostname([]byte("mine")))
	try("mount", syscall.Mount("none", "/scratch", "tmpfs", 0, ""))
	try("mknod", syscall.Mknod("/made/null", syscall.S_IFCHR|0o666, 1<<8|3))
	try("chown mapped", os.Chown("/made/file", 7, 8))
	try("chown unmapped", os.Chown("/made/file", 5000, 8))
	try("sysctl", os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0))
	// The last, for it changes who this is; 5000 is not mapped.
	_, _, errno := syscall.RawSyscall(syscall.SYS_SETUID, 5000, 0, 0)
	try("setuid unmapped", errnoOrNil(errno))
	_, _, errno = syscall.RawSyscall(syscall.SYS_SETUID, 9, 0, 0)
	try("setuid mapped", errnoOrNil(errno))
	results["maps"] = strings.Join(strings.Fields(text("/proc/self/uid_map")+text("/proc/self/gid_map")), " ")
	data, err := json.Marshal(results)
	check(err)
	fmt.Println(string(data))
	wait()
}

func errnoOrNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

const userMaps = `
	uid-map: [{inside: 0, outside: 100000, count: 1000}]
	gid-map: [{inside: 0, outside: 200000, count: 1000}]
`

// triesConfig is a container config whose program is user 0 in its namespace.
const triesConfig = `
	user-id: 0
	group-id: 0
	executable: /bin/e2e
	arguments: [e2e-program, tries]
	volumes:
	  /out: !Persistent {path: /data}
	  /volume: !Persistent {path: /data/volume, mkdir: true}
	  /made: !Persistent {path: /data/made, mkdir: true, mode: 0o700, user: 3, group: 4}
`

// Covers: C10, C16, E15, H8, K8, K11, Y3
func TestUserNamespacesMapIDs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"tries": triesConfig,
		// E15: the container's own maps; allow-users limits the outside ids.
		"own": strings.Replace(triesConfig, "user-id", dedent(userMaps)+"user-id", 1),
	})
	must(t, mkdir(h.path("images/app/made")))
	must(t, mkdir(h.path("images2")))
	must(t, os.Rename(h.path("images/app"), h.path("images/app.v1")))
	data := func(name string) string {
		must(t, mkdir(h.path("data", name)))
		return fmt.Sprintf("writable-paths: {/data: %s}\nimage-dir: %s\n", h.path("data", name), h.path("images"))
	}
	processes := "app: {image: app.v1, config: /config/tries.yaml}\n"
	h.sandbox("box", data("box")+dedent(userMaps)+"allow-users: [0-999]\nallow-groups: [0-999]\n", processes)
	h.sandbox("mapped", data("mapped")+dedent(userMaps)+"map-image-owners: true\n", processes)
	h.sandbox("own", data("own")+"allow-users: [100000-100999]\nallow-groups: [200000-200999]\n", strings.Replace(processes, "tries", "own", 1))
	h.start()
	now := h.running("box/app.0", "mapped/app.0", "own/app.0")
	for _, sandbox := range []string{"box", "mapped", "own"} {
		i := now[sandbox+"/app.0"]
		if i.knot == 0 {
			continue
		}
		var got map[string]string
		eventually(t, "what the program found", 10*time.Second, func() error {
			for line := range strings.Lines(h.read("log/stderr", sandbox+".log")) {
				if strings.HasPrefix(line, "{") {
					return json.Unmarshal([]byte(line), &got)
				}
			}
			return errors.New("nothing yet")
		})
		want := map[string]string{
			"image": "65534:65534", "volume": "65534:65534", "made": "3:4",
			"write": "ok", "sethostname": "operation not permitted", "mount": "operation not permitted", "mknod": "operation not permitted",
			"chown mapped": "ok", "chown unmapped": "chown /made/file: invalid argument",
			"sysctl":          "open /proc/sys/vm/drop_caches: read-only file system",
			"setuid unmapped": "invalid argument", "setuid mapped": "ok",
			"maps": "0 100000 1000 0 200000 1000",
		}
		if sandbox == "mapped" {
			want["image"] = "0:0"
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %q", sandbox, name, got[name], value)
			}
		}
		// The host sees outside ids.
		if s := text(fmt.Sprintf("/proc/%d/status", i.program)); !strings.Contains(s, "Gid:\t200000\t200000\t200000\t200000") ||
			!strings.Contains(s, "Uid:\t100009\t100009\t100009\t100009") || !strings.Contains(s, "Groups:\t \n") && !strings.Contains(s, "Groups:\t\n") {
			t.Errorf("%s: the program's status is\n%s", sandbox, s)
		}
		for path, want := range map[string]string{"made": "100003:200004", "made/file": "100007:200008"} {
			info, err := os.Stat(h.path("data", sandbox, path))
			must(t, err)
			if owner(info) != want {
				t.Errorf("H8 %s: data/%s belongs to %s, want %s", sandbox, path, owner(info), want)
			}
		}
		own, err := os.Readlink("/proc/self/ns/user")
		must(t, err)
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", i.knot)); err != nil || ns != own {
			t.Errorf("%s: PID 1 is in the user namespace %s (%v), not in the host's", sandbox, ns, err)
		}
		kill(t, i.program, killSignal)
		h.successor(sandbox+"/app.0", i, 10*time.Second)
	}
	// K11: one past the end of a map is not in it.
	h.config("app.v1", "tries", strings.Replace(triesConfig, "user-id: 0", "user-id: 1000", 1))
	before := h.instances()
	h.reload("box")
	if err := h.outputIn("log/master.log", "user-id: user 1000 is not among the inside ids of the map in force"); err != nil {
		t.Error(err)
	}
	if now := h.instances(); now["box/app.0"].knot != before["box/app.0"].knot {
		t.Error("a broken config replaced a container")
	}
}
