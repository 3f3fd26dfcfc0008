package knot_test

import (
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lithos/spawn/knot"
	"lithos/spawn/wire"
)

// bareOnly ends a test where there is the general path only.
func bareOnly(t *testing.T) (end bool) {
	t.Helper()
	if runtime.GOARCH != "amd64" || general {
		t.Log("there is only the general path here")
		return true
	}
	return false
}

// isBare tells by the memory where the list was.
func (b *box) isBare() bool {
	return strings.Contains(b.read("/proc/"+itoa(b.pid)+"/maps"), "1000000000-")
}

func TestBareIsTaken(t *testing.T) {
	b := newBox(t, "touch:/out/up", "forever")
	b.listen(3)
	b.start()
	b.awaitFile("up")
	b.await("start in the record", func() bool { return b.read(b.record) != "" })
	if bareOnly(t) {
		return
	}
	// PID 1 closes what is left of the start when the program runs already.
	want := []string{"0", "1", "2", "4", "5", "6"} // with a socket, and the log
	var fds []string
	b.await("bare PID 1", func() bool {
		entries, err := os.ReadDir("/proc/" + itoa(b.pid) + "/fd")
		must(t, err)
		fds = fds[:0]
		for _, e := range entries {
			fds = append(fds, e.Name())
		}
		return b.isBare() && slices.Equal(fds, want)
	})
	tasks, err := os.ReadDir("/proc/" + itoa(b.pid) + "/task")
	must(t, err)
	if len(tasks) != 1 {
		t.Errorf("%d threads", len(tasks))
	}
	if comm := b.read("/proc/" + itoa(b.pid) + "/comm"); comm != "lithos_knot\n" {
		t.Errorf("its name is %q", comm)
	}
	// Only the stack and the page of the list are its own.
	b.await("PID 1 without data of its own", func() bool { return b.ownPages() == "" })
	b.signal(syscall.SIGTERM)
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
}

// ownPages says where memory is PID 1's own, but for the stack and the list.
func (b *box) ownPages() (list string) {
	where := ""
	for line := range strings.Lines(b.read("/proc/" + itoa(b.pid) + "/smaps")) {
		f := strings.Fields(line)
		switch {
		case !strings.HasSuffix(f[0], ":"):
			where = line
		case f[0] == "Anonymous:" && f[1] != "0" && !strings.Contains(where, "[stack]") && !strings.HasPrefix(where, "1000000000-"):
			list += where
		}
	}
	return list
}

// A container that needs the general path must not lose that by a list.
func TestBareLeavesTheRestToTheGeneralPath(t *testing.T) {
	if bareOnly(t) {
		return
	}
	for name, change := range map[string]func(*wire.Spec){
		"interactive":            func(s *wire.Spec) { s.Interactive = true },
		"restart-process-only":   func(s *wire.Spec) { s.RestartProcessOnly = true },
		"no log":                 func(s *wire.Spec) { s.StdioLog = "" },
		"stdout-stderr-file":     func(s *wire.Spec) { s.StdoutStderrFile = "/out/log" },
		"volume on /":            func(s *wire.Spec) { s.Volumes[0].MountPoint = "/" },
		"unknown kind of volume": func(s *wire.Spec) { s.Volumes[0].Kind = 77 },
		"deep Statedir volume":   func(s *wire.Spec) { s.Volumes[0].Kind, s.Volumes[0].SubPath = wire.Statedir, "/a/b" },
		"Tmpfs without a size":   func(s *wire.Spec) { s.Volumes[0].Kind = wire.Tmpfs },
		"no resolv.conf to copy": func(s *wire.Spec) { s.ResolvConf.Source = "/nowhere" },
		"NUL in an argument":     func(s *wire.Spec) { s.Argv = []string{"a\x00b"} },
		"NUL in a variable":      func(s *wire.Spec) { s.Env = []string{"A=a\x00b"} },
		"a terminal":             func(s *wire.Spec) { s.Terminal = true },
		"after-setup-command": func(s *wire.Spec) {
			s.NetNS, s.Network = true, wire.Network{Address: "\x0a\x00\x00\x01", AfterSetup: []string{"/bin/true"}}
		},
		"a user namespace whose descriptor has to be moved": func(s *wire.Spec) {
			s.UserNS, s.Sockets = true, []int{9}
		},
		"a network whose descriptor has to be moved": func(s *wire.Spec) { s.NetNS, s.Sockets = true, []int{9} },
	} {
		b := newBox(t)
		if knot.Compile(b.spec) == nil {
			t.Fatal("the Spec that all are made from has no list")
		}
		change(b.spec)
		if knot.Compile(b.spec) != nil {
			t.Errorf("%s: there is a list", name)
		}
	}
}

// A new field of the Spec must not be forgotten on one of the paths.
func TestBareKnowsEachFieldOfTheSpec(t *testing.T) {
	const inStart, inBuild, inBoth, general = "newStart", "the recipe", "both", "canBeBare"
	known := map[string]string{
		"Name": inBuild, "Image": inBuild, "MountDir": inBuild, "DevfsDir": inBuild, "StateDir": inBuild,
		"ResolvConf": inBuild, "Hosts": inBuild, "Volumes": inBuild, "Executable": inStart, "Argv": inStart,
		"Env": inStart, "PIDVars": inStart, "Workdir": inStart, "UserID": inBoth, "GroupID": inStart,
		"FilenoLimit": inStart, "StdioLog": inBuild, "StdoutStderrFile": general, "Interactive": general,
		"Sockets": inStart, "Command": inBuild, "RestartProcessOnly": general, "RestartTimeout": general,
		"KillTimeout": inBuild, "StopSignal": "record", "NormalExitCodes": inBuild, "CgroupFDs": inStart, "CgroupV2": inStart,
		"AddCapabilities": inStart, "NewPrivileges": inBoth, "Seccomp": inStart,
		"WritableProcSys": inBuild, "UnmaskKernelFiles": inBuild, "Terminal": general,
		"HostUser": general, "HostGroup": general, // for stdout-stderr-file
		"MapImage": inBuild, "UserNS": inBoth, "NetNS": inStart, "Network": inBuild, "Standby": "record",
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[wire.Spec]()) {
		if _, ok := known[f.Name]; !ok {
			t.Errorf("Spec.%s is new: have the recipe do it, or canBeBare or the recorder refuse it, and add it here", f.Name)
		}
		delete(known, f.Name)
	}
	for name := range known {
		t.Errorf("there is no Spec.%s", name)
	}
}
