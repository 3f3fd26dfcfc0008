package configs

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"lithos/configs/document"
)

// The options that the original lacks: limits of processes, processors and
// devices, and what a sandbox loosens of the hardening (docs/differences.md).

const (
	maxPIDs = 4194304 // the kernel's PID_MAX_LIMIT
	maxCPUs = 8192    // the kernel's NR_CPUS
)

// readLimits reads the limits of a sandbox. Processors and devices are the
// host's, so only a sandbox can name them.
func readLimits(o *document.Object, sb *SandboxConfig) {
	sb.PIDsLimit = o.Get("pids-limit").Integer(0, 1, maxPIDs)
	sb.CPUQuota = processors(o.Get("cpu-quota"))
	sb.CPUSet = cpuList(o.Get("cpuset"))
	sb.IOLimits = readIOLimits(o.Get("io-limits"))
}

// processors reads a number of processors such as 1.5, in thousandths.
func processors(v document.Value) int64 {
	s, ok := v.Scalar("a number of processors such as 1.5")
	if !ok {
		return 0
	}
	// Not a float: 0.29 would be 289 thousandths.
	r, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 20 || strings.Trim(s, "0123456789.") != "" {
		v.Errorf("%q is not a number of processors such as 0.5 or 2%s", document.Clip(s), document.NilHint(s))
		return 0
	}
	r.Mul(r, big.NewRat(1000, 1))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() || n.Int64() < 10 || n.Int64() > maxCPUs*1000 {
		v.Errorf("%s is not in 0.01 to %d processors", document.Clip(s), maxCPUs)
		return 0
	}
	return n.Int64()
}

// cpuList reads processors as the kernel lists them: "0-3,5", or a list of
// such, and writes them in order.
func cpuList(v document.Value) string {
	if v.Null() {
		return ""
	}
	words := []string{}
	if v.Describe() == "a list" {
		words = v.Strings()
	} else if s, ok := v.Scalar("processors such as 0-3,5"); ok {
		words = strings.Split(s, ",")
	}
	var list []Range
	for _, word := range words {
		r, err := document.ParseRange(strings.TrimSpace(word), maxCPUs-1)
		if err != nil {
			v.Errorf("%q is not a range of processors: %s", document.Clip(word), err)
			return ""
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Range) int { return int(a.First) - int(b.First) })
	text := document.FormatRanges(list)
	return strings.ReplaceAll(text[1:len(text)-1], " ", "")
}

var ioLimitKeys = []string{"read-bytes", "write-bytes", "read-operations", "write-operations"}

// readIOLimits reads io-limits: the most that each container may do to a block
// device, a second.
func readIOLimits(v document.Value) []IOLimit {
	list, _ := v.Entries()
	limits := make([]IOLimit, 0, len(list))
	for _, e := range list {
		device, err := document.CleanInside(e.Name)
		if err != nil || device == "/" {
			e.Errorf("%q is not the path of a block device such as /dev/sda", document.Clip(e.Name))
			continue
		}
		if slices.ContainsFunc(limits, func(l IOLimit) bool { return l.Device == device }) {
			e.Errorf("the device %s is given twice", document.Clip(device))
			continue
		}
		o, ok := e.Value.Object(ioLimitKeys)
		if !ok {
			continue
		}
		read := func(key string) uint64 { return uint64(o.Get(key).Integer(0, 1, math.MaxInt64)) }
		l := IOLimit{device, read("read-bytes"), read("write-bytes"), read("read-operations"), read("write-operations")}
		if l == (IOLimit{Device: device}) {
			if !e.Value.Empty() {
				continue // the value is wrong, and reported
			}
			e.Errorf("says nothing: give one of %s", strings.Join(ioLimitKeys, ", "))
			continue
		}
		limits = append(limits, l)
	}
	if len(limits) == 0 {
		return nil
	}
	return sortedBy(limits, func(l IOLimit) string { return l.Device })
}

// readLoosened reads what a sandbox takes back of the hardening, and its
// seccomp profile.
func readLoosened(o *document.Object, sb *SandboxConfig) {
	sb.AllowNewPrivileges = o.Get("allow-new-privileges").Boolean(false)
	sb.AddCapabilities = readCapabilities(o.Get("add-capabilities"))
	sb.WritableProcSys = o.Get("writable-proc-sys").Boolean(false)
	sb.UnmaskKernelFiles = o.Get("unmask-kernel-files").Boolean(false)
	if v := o.Get("seccomp"); v.OneOf("off", "off", SeccompDefault) == SeccompDefault {
		sb.Seccomp = SeccompDefault
	}
}

// takeFromSandbox gives a container what its sandbox says of these.
func takeFromSandbox(c *Container, sb *SandboxConfig) {
	c.PIDsLimit = lower(c.PIDsLimit, sb.PIDsLimit)
	c.CPUQuota = lower(c.CPUQuota, sb.CPUQuota)
	c.CPUSet, c.IOLimits = sb.CPUSet, sb.IOLimits
	c.AllowNewPrivileges, c.AddCapabilities = sb.AllowNewPrivileges, sb.AddCapabilities
	c.WritableProcSys, c.UnmaskKernelFiles = sb.WritableProcSys, sb.UnmaskKernelFiles
	c.Seccomp = sb.Seccomp
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// capabilities are Linux's, in the order of their numbers (capabilities(7)).
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// readCapabilities reads names such as NET_RAW, CAP_NET_RAW or cap_net_raw, and
// ALL.
func readCapabilities(v document.Value) []string {
	var list []string
	for _, item := range listed(v) {
		s, ok := item.Text()
		if !ok {
			continue
		}
		name := strings.TrimPrefix(strings.ToUpper(s), "CAP_")
		if name == "ALL" {
			list = append(list, capabilities...)
			continue
		}
		if !slices.Contains(capabilities, name) {
			item.Errorf("%q is not a capability such as NET_RAW%s", document.Clip(s), item.Collector().DidYouMean(name, capabilities))
			continue
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// CapabilityBits is the set of capabilities of these names, bit n for the one
// that has the number n.
func CapabilityBits(names []string) (bits uint64) {
	for n, name := range capabilities {
		if slices.Contains(names, name) {
			bits |= 1 << n
		}
	}
	return bits
}

// CapabilityNames is the reverse of [CapabilityBits].
func CapabilityNames(bits uint64) (names []string) {
	for n, name := range capabilities {
		if bits&(1<<n) != 0 {
			names = append(names, name)
			bits &^= 1 << n
		}
	}
	if bits != 0 {
		names = append(names, fmt.Sprintf("others (%#x)", bits)) // of a newer kernel
	}
	return names
}
