package configs

import (
	"cmp"
	"strconv"
	"strings"
)

// InstanceName is the name of an instance, "SANDBOX/PROCESS.INDEX". The name of a
// sandbox may have dots, the name of a process has none; a command's container has
// the process "cmd.PROCESS" and the pid of its lithos_cmd as its index.
type InstanceName struct {
	Sandbox, Process string
	Index            int
}

// ParseInstanceName takes a name apart. In a name without an index, such as
// "SANDBOX/PROCESS", that is 0.
func ParseInstanceName(name string) InstanceName {
	sandbox, process, _ := strings.Cut(name, "/")
	n := InstanceName{Sandbox: sandbox, Process: process}
	if dot := strings.LastIndexByte(process, '.'); dot >= 0 {
		n.Process = process[:dot]
		n.Index, _ = strconv.Atoi(process[dot+1:])
	}
	return n
}

func (n InstanceName) String() string { return n.Group() + "." + strconv.Itoa(n.Index) }

// Group is "SANDBOX/PROCESS", the name of all instances of the process.
func (n InstanceName) Group() string { return n.Sandbox + "/" + n.Process }

// CompareNames orders names of instances by sandbox and process, and then by
// index: PROCESS.10 comes after PROCESS.9.
func CompareNames(a, b string) int {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	if i < 0 || j < 0 || a[:i] != b[:j] {
		return cmp.Compare(a, b)
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
