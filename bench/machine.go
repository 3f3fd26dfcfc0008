package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

func thisMachine() Machine {
	return Machine{
		CPU:    field("/proc/cpuinfo", "model name"),
		CPUs:   runtime.NumCPU(),
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Memory: field("/proc/meminfo", "MemTotal"),
		Load:   load(),
	}
}

// field is the first value of a key in a file of KEY: VALUE lines.
func field(path, key string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(data), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func firstLine(path string) string {
	data, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// commit is the commit that was measured, with a mark when the tree differs.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// load is the load average; a result under load is worth less.
func load() string {
	f := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(f[:min(3, len(f))], " ")
}
