package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// onlyPID1 are the programs of init systems, by the names of their files; each
// ends or does nothing when it is not process 1.
var onlyPID1 = map[string]string{
	"systemd":       "systemd",
	"runit-init":    "runit",
	"runit":         "runit",
	"s6-linux-init": "s6-linux-init",
	"openrc-init":   "OpenRC",
	"finit":         "finit",
	"init":          "an init",
}

// wantsPID1 names the init system of a program that only runs as process 1, ""
// for any other program.
func wantsPID1(root int, program string) string {
	if program == "/init" {
		switch {
		case isDirectory(root, "/package/admin/s6-overlay") || isDirectory(root, "/package/admin/s6-overlay-libexec"):
			return "s6-overlay 3"
		case isDirectory(root, "/etc/s6/init"):
			return "" // s6-overlay 1 and 2 run as any process
		}
	}
	for _, name := range []string{path.Base(realPath(root, program)), path.Base(program)} {
		if system := onlyPID1[name]; system != "" {
			return system
		}
	}
	return ""
}

// realPath is the path of a file of the image without links, "" if there is
// none.
func realPath(root int, name string) string {
	fd, err := inroot.Open(root, name, unix.O_PATH, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	full, err1 := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	top, err2 := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", root))
	if err1 != nil || err2 != nil {
		return ""
	}
	return strings.TrimPrefix(full, strings.TrimSuffix(top, "/"))
}

// smallInits only pass signals on and reap processes, which lithos_knot does.
// With options they do more.
var smallInits = []string{"tini", "tini-static", "docker-init", "dumb-init", "catatonit"}

// withoutInit takes a small init off the command, and names it.
func withoutInit(command []string) (rest []string, name string) {
	if len(command) < 2 || !slices.Contains(smallInits, path.Base(command[0])) {
		return command, ""
	}
	rest = command[1:]
	if rest[0] == "--" {
		rest = rest[1:]
	}
	if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return command, ""
	}
	return rest, path.Base(command[0])
}
