package spawn

import (
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// removePatience is how long a removal waits for the kernel to notice that the
// last process of a container is gone.
const removePatience = 5 * time.Second

// scope is the name of a container's cgroup.
func scope(name string) string { return strings.Replace(name, "/", ":", 1) + ".scope" }

// scopePattern matches the names of our cgroups. The name of a sandbox may have
// dots in it.
var scopePattern = regexp.MustCompile(`^([\w-][\w.-]*):([\w.-]+\.[0-9]+)\.scope$`)

// unscope is the name of the container that a cgroup is of.
func unscope(group string) (name string, ok bool) {
	m := scopePattern.FindStringSubmatch(group)
	if m == nil {
		return "", false
	}
	return m[1] + "/" + m[2], true
}

// notifySocket is the path on the host of the socket by which a container tells
// that it is ready.
func notifySocket(record, name string) string {
	runtimeDir := filepath.Dir(filepath.Dir(filepath.Dir(record)))
	return filepath.Join(runtimeDir, "notify", strings.TrimSuffix(scope(name), ".scope"))
}

const standbyPrefix = "standby."

// standbyOf is the path, or the name, of a standby beside that of its container.
// A daemon that finds one takes it for a container that is not wanted.
func standbyOf(path string) string {
	return filepath.Join(filepath.Dir(path), standbyPrefix+filepath.Base(path))
}

// IsStandby tells the name of a standby. The name of a process has no dots.
func IsStandby(name string) bool {
	_, instance, _ := strings.Cut(name, "/")
	return strings.HasPrefix(instance, standbyPrefix)
}

// commandPattern is a container of lithos_cmd, which is the process of that pid.
var commandPattern = regexp.MustCompile(`^[^/]+/cmd\.[^/]+\.([0-9]+)$`)

// IsCommand tells a command's container from a daemon's, by its name. The
// process `cmd.x` of a daemon can't be: names of processes have no dots.
func IsCommand(name string) bool { return commandPattern.MatchString(name) }
