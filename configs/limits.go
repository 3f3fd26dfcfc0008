package configs

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// The options that the original lacks: limits of processes, processors and
// devices, and what a sandbox loosens of the hardening (docs/differences.md).

const (
	maxPIDs = 4194304 // the kernel's PID_MAX_LIMIT
	maxCPUs = 8192    // the kernel's NR_CPUS
)

var (
	pidsLimit    = option.Number[int64](1, maxPIDs)
	pidsLimitDoc = option.Doc{Example: "100", Text: "The most processes and threads of a container. Of the sandbox's and the container's the lower one counts."}
	cpuQuotaDoc  = option.Doc{Example: "1.5", Text: "The most CPU time of a container, in processors. Of the sandbox's and the container's the lower one counts."}
)

// processors is a number of processors such as 1.5, in thousandths.
var processors = option.Kind[int64]{
	Type: option.Type{Name: "processors, 0.01 and more",
		Schema: `{"anyOf": [{"type": "number", "minimum": 0.01}, {"type": "string", "pattern": "^[0-9.]+$"}]}`},
	Read: readProcessors,
	Show: func(n int64) string { return document.Decimal(float64(n) / 1000) },
}

func readProcessors(v document.Value, def int64) int64 {
	s, ok := v.Scalar("a number of processors such as 1.5")
	if !ok {
		return def
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

var cpuList = option.Kind[string]{
	Type: option.Type{Name: "processors such as `0-3,5`", Schema: `{"type": ["integer", "string", "array"]}`},
	Read: readCPUList, Show: func(s string) string { return s },
}

// readCPUList reads processors as the kernel lists them: "0-3,5", or a list of
// such, and writes them in order.
func readCPUList(v document.Value, _ string) string {
	if v.Null() {
		return ""
	}
	words := []string{}
	if v.IsList() {
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

// ioLimitTable are the limits of one device; 0 is none.
var ioLimitTable = option.NewTable(
	option.Of("read-bytes", ioBytes, func(l *IOLimit) *uint64 { return &l.ReadBytes }, option.Doc{Example: "10M", Text: "Bytes read, a second."}),
	option.Of("write-bytes", ioBytes, func(l *IOLimit) *uint64 { return &l.WriteBytes }, option.Doc{Example: "10M", Text: "Bytes written, a second."}),
	option.Of("read-operations", ioCount, func(l *IOLimit) *uint64 { return &l.ReadOps }, option.Doc{Example: "500", Text: "Reads, a second."}),
	option.Of("write-operations", ioCount, func(l *IOLimit) *uint64 { return &l.WriteOps }, option.Doc{Example: "500", Text: "Writes, a second."}),
)

var (
	ioCount  = option.Number[uint64](1, option.Open).Named("a second")
	ioBytes  = ioCount.Named(option.Size.Name)
	ioLimits = option.Kind[[]IOLimit]{
		Type: option.Mapping("from a block device to limits, see below", option.Object(ioLimitTable.Infos())),
		Read: readIOLimits, Show: showIOLimits,
	}
)

func showIOLimits(limits []IOLimit) string {
	var words []string
	for i := range limits {
		words = append(words, limits[i].Device+": "+ioLimitTable.Show(&limits[i]))
	}
	return braced(words)
}

// readIOLimits reads io-limits: the most that each container may do to a block
// device, a second.
func readIOLimits(v document.Value, _ []IOLimit) []IOLimit {
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
		o, ok := ioLimitTable.Object(e.Value)
		if !ok {
			continue
		}
		l := IOLimit{Device: device}
		ioLimitTable.ReadAll(&o, &l)
		if l == (IOLimit{Device: device}) {
			if !e.Value.Empty() {
				continue // the value is wrong, and reported
			}
			e.Errorf("says nothing: give one of %s", strings.Join(ioLimitTable.Keys(), ", "))
			continue
		}
		limits = append(limits, l)
	}
	if len(limits) == 0 {
		return nil
	}
	return sortedBy(limits, func(l IOLimit) string { return l.Device })
}

// seccomp is a profile; "off" is none.
var seccomp = func() option.Kind[string] {
	k := option.OneOf("off", SeccompDefault)
	k.Read = func(v document.Value, _ string) string {
		if v.OneOf("off", "off", SeccompDefault) == SeccompDefault {
			return SeccompDefault
		}
		return ""
	}
	return k
}()

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

// capabilityList are names such as NET_RAW, CAP_NET_RAW or cap_net_raw, and ALL.
var capabilityList = option.Kind[[]string]{Type: option.Texts.Type, Read: readCapabilities, Show: option.Texts.Show}

func readCapabilities(v document.Value, _ []string) []string {
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
