package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Row is one file of examples/programs.
type Row struct {
	Name string `yaml:"-"` // of the file, without .yaml
	Path string `yaml:"-"`

	Program string `yaml:"program"` // as people call it
	CI      bool   `yaml:"ci"`      // it is run by `make test`, the others by `make programs`

	// Where it comes from. These are one line each: a shell script reads them,
	// too (cmd/e2e/images/programs.sh).
	Debian []string `yaml:"debian"`
	PyPI   []string `yaml:"pypi"`
	NPM    []string `yaml:"npm"`
	Maven  []string `yaml:"maven"`
	Go     []string `yaml:"go"`
	Crate  []string `yaml:"crate"`

	// Port is the number that stands for its port in Files and Container.
	Port      int               `yaml:"port"`
	Files     map[string]string `yaml:"files"` // of the image, by absolute path
	Container string            `yaml:"container"`
	Sandbox   string            `yaml:"sandbox"` // what its sandbox config has to say for it
	Client    Client            `yaml:"client"`
	Limits    *Limits           `yaml:"limits"`
	// Signals are those beside TERM that end it, by what its manual says.
	Signals []string `yaml:"signals"`

	Match Match `yaml:"match"`
	// Runtime is for what runs any code: it may send READY=1.
	Runtime bool `yaml:"runtime"`
	// Sizes are the flags that tell it how much memory there is, "A or B".
	Sizes   string   `yaml:"sizes"`
	Wrapper *Wrapper `yaml:"wrapper"`

	Set      string `yaml:"set"`
	Surprise string `yaml:"surprise"`
	Seen     Seen   `yaml:"seen"`
}

// Client is how the program is seen to serve: one of HTTP, Send and Says.
type Client struct {
	HTTP string `yaml:"http"` // a path that is answered with 200 to 499
	// Slow is a path whose answer takes a second. Without it a request is sent
	// in two halves, one before and one after the signal.
	Slow   string `yaml:"slow"`
	Send   string `yaml:"send"`   // what is written to a connection, as it is or after "hex:"
	Expect string `yaml:"expect"` // a pattern in what comes back
	Says   string `yaml:"says"`   // a pattern in its output, of a program without a port
}

// Bytes are what Send says.
func (c *Client) Bytes() ([]byte, error) {
	if text, ok := strings.CutPrefix(c.Send, "hex:"); ok {
		return hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	}
	return []byte(c.Send), nil
}

// Limits are patterns in the output, with what the program believes to have as
// their first group.
type Limits struct {
	Memory string `yaml:"memory"` // bytes, or with K, M, G
	CPUs   string `yaml:"cpus"`
}

// Match is how the program is recognised by a container config.
type Match struct {
	Executable string `yaml:"executable"` // a pattern of the name of the executable, without its directory
	Argument   string `yaml:"argument"`   // a pattern that one of the first arguments has, "" for any
}

// Wrapper is a script of its package that does not pass signals on.
type Wrapper struct {
	Script  string `yaml:"script"`  // its path
	Instead string `yaml:"instead"` // what to run
}

// Seen is what a run showed. An empty field was not looked at, "-" on the page.
type Seen struct {
	Version string            `yaml:"version"`
	Socket  Socket            `yaml:"socket,omitempty"`
	Notify  string            `yaml:"notify,omitempty"` // "READY=1", "nothing"
	Stop    map[string]Ending `yaml:"stop"`
	Logs    []string          `yaml:"logs,flow"`
	Writes  []string          `yaml:"writes,omitempty,flow"`
	Needs   []string          `yaml:"needs,omitempty,flow"` // volumes without which it does not serve
	User    string            `yaml:"user"`                 // "33", "0", "0 and 33"
	UserNS  string            `yaml:"user-namespace,omitempty"`
	Seccomp string            `yaml:"seccomp,omitempty"`
	Memory  string            `yaml:"memory,omitempty"`
	CPUs    string            `yaml:"cpus,omitempty"`
}

// Socket is what became of a listening socket that was passed.
type Socket struct {
	How     string   `yaml:"how"` // "activation", "tcp-ports", "not taken"
	Backlog string   `yaml:"backlog,omitempty"`
	Left    []string `yaml:"left,omitempty,flow"` // options that were not set before
}

// Ending is what a signal did.
type Ending struct {
	Ends    string `yaml:"ends"`    // "exit 0", "signal 15", "runs on"
	Seconds int    `yaml:"seconds"` // with an idle client and a request on the way
	Request string `yaml:"request,omitempty"`
}

// Load reads all rows, by their names.
func Load(dir string) ([]*Row, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var rows []*Row
	for _, file := range files {
		r, err := read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *Row) int { return strings.Compare(strings.ToLower(a.Program), strings.ToLower(b.Program)) })
	return rows, nil
}

func read(file string) (*Row, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Row{Path: file, Name: strings.TrimSuffix(filepath.Base(file), ".yaml")}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(r); err != nil {
		return nil, err
	}
	return r, r.check()
}

// check says what a row lacks.
func (r *Row) check() error {
	var errs []error
	lacks := func(condition bool, text string) {
		if condition {
			errs = append(errs, errors.New(text))
		}
	}
	lacks(r.Program == "", "no program")
	lacks(len(r.Debian)+len(r.Go)+len(r.Crate) == 0, "no packages: debian, go or crate")
	lacks(r.CI && len(r.PyPI)+len(r.NPM)+len(r.Maven)+len(r.Go)+len(r.Crate) > 0, "ci takes Debian's packages alone")
	lacks(!strings.Contains(r.Container, "executable: "), "no container config")
	lacks(r.Client == Client{}, "no client")
	lacks(r.Port == 0 && r.Client.Says == "", "no port")
	_, err := r.Client.Bytes()
	errs = append(errs, err)
	for _, pattern := range []string{r.Client.Expect, r.Client.Says, r.Match.Executable, r.Match.Argument} {
		_, err := regexp.Compile(pattern)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// WriteSeen replaces what was seen in the row's file, which is its end.
func (r *Row) WriteSeen(seen Seen) error {
	text, err := os.ReadFile(r.Path)
	if err != nil {
		return err
	}
	const key = "\nseen:\n"
	head, _, _ := strings.Cut(string(text), key)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(map[string]Seen{"seen": seen}); err != nil {
		return err
	}
	return os.WriteFile(r.Path, []byte(strings.TrimRight(head, "\n")+"\n"+out.String()), 0o644)
}
