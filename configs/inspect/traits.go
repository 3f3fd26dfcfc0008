package inspect

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lithos/configs"
)

// Trait is what is known of a program from runs of it, see docs/programs.md. A
// zero value is nothing to warn of.
type Trait struct {
	Program    string `json:"program"`
	Executable string `json:"executable"`         // a pattern of the whole name; of the path if it begins with /
	Argument   string `json:"argument,omitempty"` // a pattern in one of the arguments

	StopSeconds int    `json:"stop_seconds,omitempty"` // what it may take to end after TERM
	Exit        int    `json:"exit,omitempty"`         // its exit code then
	OwnSocket   bool   `json:"own_socket,omitempty"`   // it does not take a socket by LISTEN_FDS
	Silent      bool   `json:"silent,omitempty"`       // it does not send READY=1
	SharedMem   bool   `json:"shared_memory,omitempty"`
	Sizes       string `json:"sizes,omitempty"` // a pattern of what tells it the limit that it does not see
	Instead     string `json:"instead,omitempty"`
}

// Traits are those of all known programs, made from examples/programs by
// `go test ./cmd/internal/catalog -update`.
var Traits = sync.OnceValue(func() []Trait {
	var list []Trait
	if err := json.Unmarshal(traitsJSON, &list); err != nil {
		panic(err) // it is in the program, and a test reads it
	}
	return list
})

//go:embed traits.json
var traitsJSON []byte

// knows is the trait of a container's program, if that is known.
func knows(traits []Trait, c *configs.Container) *Trait {
	matches := func(pattern, text string) bool {
		found, err := regexp.MatchString(pattern, text)
		return err == nil && found
	}
	for n := range traits {
		t := &traits[n]
		name := path.Base(c.Executable)
		if strings.HasPrefix(t.Executable, "/") {
			name = c.Executable
		}
		if !matches("^(?:"+t.Executable+")$", name) {
			continue
		}
		if t.Argument == "" || matches(t.Argument, path.Base(c.Executable)) ||
			slices.ContainsFunc(c.Arguments, func(a string) bool { return matches(t.Argument, a) }) {
			return t
		}
	}
	return nil
}

// traits warns of what is known to go wrong with the program and this config.
func (i *inspection) traits() {
	t := knows(Traits(), i.c)
	if t == nil {
		return
	}
	for _, w := range t.warnings(i.c) {
		i.content.WarnAt(i.in.Place(w.option), "%s %s, see docs/programs.md", t.Program, w.text)
	}
}

// warning is a sentence about an option, without its subject.
type warning struct{ option, text string }

func (t *Trait) warnings(c *configs.Container) []warning {
	var all []warning
	warn := func(condition bool, option, format string, args ...any) {
		if condition {
			all = append(all, warning{option, fmt.Sprintf(format, args...)})
		}
	}
	has := func(volume string) bool {
		return slices.ContainsFunc(c.Volumes, func(v configs.Volume) bool {
			return v.MountPoint == volume && v.Kind != configs.VolumeReadonly
		})
	}
	warn(time.Duration(t.StopSeconds)*time.Second >= c.KillTimeout && t.StopSeconds > 1, "kill-timeout",
		"may take %d s to end while clients are connected: it is killed after %v", t.StopSeconds, c.KillTimeout)
	warn(t.Exit != 0 && !slices.Contains(c.NormalExitCodes, t.Exit), "normal-exit-codes",
		"exits with %d after TERM: say normal-exit-codes: [%d], or each stop is a failure", t.Exit, t.Exit)
	warn(t.OwnSocket && slices.Contains(c.PIDVariables, "LISTEN_PID"), "variables",
		"does not take a socket by LISTEN_FDS: it fails, since its port is taken")
	warn(t.Silent && c.Ready != nil && c.Ready.Kind == configs.CheckNotify, "ready",
		"does not send READY=1: it never becomes ready")
	warn(t.SharedMem && !has("/dev/shm"), "volumes", "needs a writable /dev/shm: add /dev/shm: !Tmpfs {size: 64Mi}")
	warn(t.Sizes != "" && c.MemoryLimit > 0 && !t.sized(c), "memory-limit",
		"takes its sizes from the host's memory: tell it the limit by %s", t.Sizes)
	warn(t.Instead != "", "executable", "is run by a script that does not pass TERM on: run %s", t.Instead)
	return all
}

// sized tells whether an argument or a variable says how much memory there is.
func (t *Trait) sized(c *configs.Container) bool {
	says := func(text string) bool {
		return slices.ContainsFunc(strings.Split(t.Sizes, " or "), func(flag string) bool { return strings.Contains(text, flag) })
	}
	return slices.ContainsFunc(c.Arguments, says) ||
		slices.ContainsFunc(c.Environ, func(v configs.EnvVar) bool { return says(v.Value) })
}
