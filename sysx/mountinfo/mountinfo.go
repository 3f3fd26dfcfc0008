// Package mountinfo parses /proc/PID/mountinfo, see proc(5). Scope: the format.
// Out of scope: the meaning of a mount.
package mountinfo

import "strings"

// Mount is a line.
type Mount struct {
	ID      string
	Root    string   // the part of the file system that is mounted
	Point   string   // where, below the root directory of the process
	Flags   []string // of this mount
	FSType  string
	Source  string
	Options []string // of the file system
}

// Parse reads all lines, which are in the order in which one mount hides another. A
// line that it does not understand is left out.
func Parse(text string) (list []Mount) {
	for line := range strings.Lines(text) {
		if m, ok := parse(strings.TrimSuffix(line, "\n")); ok {
			list = append(list, m)
		}
	}
	return list
}

// parse reads a line like
//
//	33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
//
// The source may be empty; whatever may have blanks in it has them escaped.
func parse(line string) (m Mount, ok bool) {
	before, after, ok := strings.Cut(line, " - ")
	f, fs := strings.Fields(before), strings.Split(after, " ")
	if !ok || len(f) < 6 || len(fs) < 3 {
		return m, false
	}
	return Mount{
		ID: f[0], Root: unescape.Replace(f[3]), Point: unescape.Replace(f[4]), Flags: strings.Split(f[5], ","),
		FSType: fs[0], Source: unescape.Replace(fs[1]), Options: strings.Split(fs[2], ","),
	}, true
}

// unescape undoes the octal escapes.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")
