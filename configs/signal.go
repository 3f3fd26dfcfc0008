package configs

import (
	"cmp"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lithos/configs/document"
	"lithos/configs/option"
)

// Real-time signals as the C library counts them: it keeps 32 and 33 to itself.
const (
	realtimeMin = 34
	realtimeMax = 64
)

// signal is a signal as docker takes it: a name in upper or lower case, with or
// without SIG, or a number.
var signal = option.Kind[syscall.Signal]{
	Type: option.Type{Name: "signal: a name such as `QUIT`, `SIGQUIT` or `RTMIN+3`, or a number, 1 to 64",
		Schema: option.AnyOf(`{"type": "integer", "minimum": 1, "maximum": 64}`, `{"type": "string", "pattern": "^[A-Za-z0-9]+([+-][0-9]+)?$"}`)},
	Read: func(v document.Value, def syscall.Signal) syscall.Signal {
		text, ok := v.Scalar("a signal")
		if !ok {
			return def
		}
		sig := signalNumber(text)
		if sig == 0 {
			v.Errorf("%q is no signal: a name such as QUIT or RTMIN+3, or a number", document.Clip(text))
			return def
		}
		return sig
	},
	Show: signalName,
}

// moreNames are those that docker knows beside the kernel's own.
var moreNames = map[string]syscall.Signal{"CLD": unix.SIGCHLD, "IOT": unix.SIGABRT, "POLL": unix.SIGIO}

// signalNumber is 0 for a text that is no signal.
func signalNumber(text string) syscall.Signal {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		if n > realtimeMax || n > uint64(unix.SIGSYS) && n < realtimeMin {
			return 0
		}
		return syscall.Signal(n)
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if sig := moreNames[name]; sig != 0 {
		return sig
	}
	if sig := realtimeSignal(name); sig != 0 {
		return sig
	}
	return unix.SignalNum("SIG" + name)
}

// realtimeSignal reads RTMIN, RTMIN+N, RTMAX and RTMAX-N.
func realtimeSignal(name string) syscall.Signal {
	base, sign := realtimeMin, 1
	rest, ok := strings.CutPrefix(name, "RTMIN")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "RTMAX"); !ok {
			return 0
		}
		base, sign = realtimeMax, -1
	}
	if rest == "" {
		return syscall.Signal(base)
	}
	n, err := strconv.ParseUint(rest[1:], 10, 8)
	if err != nil || n > realtimeMax-realtimeMin || rest[0] != "-?+"[sign+1] {
		return 0
	}
	return syscall.Signal(base + sign*int(n))
}

func signalName(sig syscall.Signal) string {
	if sig >= realtimeMin {
		return "RTMIN+" + strconv.Itoa(int(sig)-realtimeMin)
	}
	return strings.TrimPrefix(unix.SignalName(sig), "SIG")
}

// StopSignalName is the signal that asks the program to end.
func (c *Container) StopSignalName() string { return signalName(cmp.Or(c.StopSignal, syscall.SIGTERM)) }
