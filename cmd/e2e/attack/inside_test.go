package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attempt is one thing that a program tries in its container. nil is that it
// got through; an error says what kept it.
type attempt struct {
	name string
	must string // the expected result instead
	try  func() error
	// only tells which programs try it: others are meant to be able to, or it
	// means nothing for them.
	only func(who) bool
}

// The identity of the attacking program.
type who struct {
	root   bool // user 0 of the container
	mapped bool // in a user namespace
}

func onlyUser(w who) bool         { return !w.root }
func onlyRoot(w who) bool         { return w.root }
func onlyUnmapped(w who) bool     { return !w.mapped }
func (a attempt) for_(w who) bool { return a.only == nil || a.only(w) }

// attempts are all, in the order of trying.
func attempts() []attempt {
	return slices.Concat(procAttempts, ptraceAttempts, kernelAttempts, mountAttempts, privilegeAttempts, leakAttempts, lastAttempts)
}

// outcome is what the program reports of an attempt.
type outcome struct {
	Won    bool
	Detail string
}

// insideBoxes are the containers whose programs try them.
func insideBoxes(s sandbox) []box {
	var list []box
	for name, user := range map[string]int{"root": 0, "user": 1000} {
		list = append(list, box{
			name: "inside-" + name, user: user,
			args:    []string{"inside", fmt.Sprint(user == 0), fmt.Sprint(s.mapped)},
			prepare: prepareImage,
		})
	}
	return list
}

// prepareImage puts what gives rights into an image.
func prepareImage(image, _ string) error {
	return errors.Join(
		install(filepath.Join(image, "bin/suid"), 0o755|os.ModeSetuid),
		install(filepath.Join(image, "bin/caps"), 0o755),
		unix.Setxattr(filepath.Join(image, "bin/caps"), "security.capability", fileCaps, 0),
		os.WriteFile(filepath.Join(image, "etc/hosts"), nil, 0o644),
		unix.Mknod(filepath.Join(image, "extra/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
}

// prepareReadonly does so with a directory that is a volume of all.
func prepareReadonly(dir string) error {
	return errors.Join(
		install(filepath.Join(dir, "suid"), 0o755|os.ModeSetuid),
		unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		os.Chmod(filepath.Join(dir, "null"), 0o666))
}

// fileCaps is struct vfs_cap_data: revision 2, effective, CAP_CHOWN and
// CAP_SETUID, which the bounding set has.
var fileCaps = []byte{1, 0, 0, 2, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// inside tries all attempts and writes the outcomes.
func inside(args []string) int {
	w := who{root: args[0] == "true", mapped: args[1] == "true"}
	results := map[string]outcome{}
	for _, a := range attempts() {
		if !a.for_(w) {
			continue
		}
		if err := a.try(); err != nil {
			results[a.name] = outcome{Detail: err.Error()}
		} else {
			results[a.name] = outcome{Won: true}
		}
	}
	return report("/out/outcomes", results)
}

// report writes a file of JSON in one step, and waits.
func report(path string, v any) int {
	if code := write(path, v); code != 0 {
		return code
	}
	wait()
	return 0
}

// write writes one, and gives the exit code if it can't.
func write(path string, v any) int {
	data, err := json.Marshal(v)
	if err == nil {
		err = errors.Join(os.WriteFile(path+".tmp", data, 0o666), os.Rename(path+".tmp", path))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 70
	}
	return 0
}

func wait() {
	for {
		time.Sleep(time.Hour)
	}
}

// reported waits for what a box reported.
func reported(t *testing.T, a *arena, box, file string, v any) {
	t.Helper()
	eventually(t, "the report of "+box, 20*time.Second, func() error {
		data, err := os.ReadFile(a.path("volumes", box, file))
		if err != nil {
			sandbox, _, _ := strings.Cut(box, "-")
			return fmt.Errorf("%w; logs:\n%s", err, a.log(sandbox))
		}
		return json.Unmarshal(data, v)
	})
}

// Covers: H2, H5, K1, K10, Y3
func TestAttacksFromInsideAContainer(t *testing.T) {
	a := sharedFor(t)
	for _, s := range sandboxes {
		for _, user := range []string{"root", "user"} {
			t.Run(s.name+"/"+user, func(t *testing.T) {
				var got map[string]outcome
				reported(t, a, s.name+"-inside-"+user, "outcomes", &got)
				w := who{root: user == "root", mapped: s.mapped}
				for _, tried := range attempts() {
					if !tried.for_(w) {
						continue
					}
					t.Run(tried.name, func(t *testing.T) {
						o, ok := got[tried.name]
						switch {
						case !ok:
							t.Error("it was not tried")
						case o.Won:
							t.Errorf("the attack succeeded; instead: %s", tried.must)
						default:
							t.Log(o.Detail)
						}
					})
				}
				// It was no attack on the container's own life.
				if n := len(a.processes(s.name + "/inside-" + user + ".0")); n != 1 {
					t.Errorf("%d containers of it run", n)
				}
			})
		}
	}
}

func TestAttemptsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attempts() {
		if seen[a.name] || a.must == "" || strings.ContainsAny(a.name, "/ ") {
			t.Errorf("%q is there twice, has a blank or says nothing of what must happen", a.name)
		}
		seen[a.name] = true
	}
	if len(seen) < 60 {
		t.Errorf("only %d attempts", len(seen))
	}
}
