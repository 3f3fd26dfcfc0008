package cmd

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"lithos/configs"
)

// schemas are docs/schemas, by the kind of config.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for _, kind := range []string{"master", "sandbox", "process", "container"} {
		file := "../docs/schemas/" + kind + ".json"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(kind+".json", doc); err != nil {
			t.Fatal(err)
		}
		if all[kind], err = c.Compile(kind + ".json"); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// asEditor turns a file into what an editor validates, as yaml-language-server
// does it: tags are dropped and the value below them counts; aliases and merge
// keys stand for what they name. ok is false if it is no YAML.
func asEditor(text string) (value any, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil {
		return nil, false
	}
	if len(doc.Content) == 0 {
		return nil, true
	}
	left := 10_000
	return plainValue(doc.Content[0], &left)
}

// plainValue gives up when a value has more parts than are left: a file may
// contain itself, or aliases of aliases.
func plainValue(n *yaml.Node, left *int) (any, bool) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if *left--; *left < 0 {
		return nil, false
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, ok := plainValue(n.Content[i+1], left)
			if !ok {
				return nil, false
			}
			if inner, isMap := v.(map[string]any); isMap && n.Content[i].Tag == "!!merge" {
				for k, v := range inner {
					if _, has := m[k]; !has {
						m[k] = v
					}
				}
				continue
			}
			m[n.Content[i].Value] = v
		}
		return m, true
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, ok := plainValue(c, left)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	}
	return plainScalar(n), true
}

// plainScalar resolves a scalar by the core schema, its own tag put aside.
func plainScalar(n *yaml.Node) any {
	bare := *n
	if !strings.HasPrefix(bare.Tag, "!!") {
		bare.Tag, bare.Style = "", bare.Style&^yaml.TaggedStyle
	}
	var v any
	if bare.Decode(&v) != nil {
		return n.Value
	}
	switch v := v.(type) {
	case int, int64, uint64, bool, nil:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return n.Value
		}
		return v
	}
	return n.Value
}

// structural are what a schema has to see of what Load tells.
func structural(text string) bool {
	for _, part := range []string{"unknown key", "is required", "expected a mapping", "expected a list", "expected true or false"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// forOldFiles tells whether a warning is about a text that is accepted because the
// original accepts it. A schema is for writing new files, and calls it a mistake.
func forOldFiles(text string) bool {
	for _, part := range []string{"is no absolute path", "is not one of", "is not an IP address", "is taken as"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// verdict compares the schema with what Load told of a file.
func verdict(t *testing.T, name string, s *jsonschema.Schema, text string, problems configs.Problems) (accepted, rejected int) {
	t.Helper()
	value, ok := asEditor(text)
	if !ok {
		return 0, 0
	}
	err := s.Validate(value)
	var broken, shape []string
	tolerated := false
	for _, p := range problems {
		tolerated = tolerated || p.Severity == configs.SeverityWarning && forOldFiles(p.Text)
		if p.Severity == configs.SeverityError && p.Line > 0 {
			broken = append(broken, p.Text)
			if structural(p.Text) {
				shape = append(shape, p.Path+": "+p.Text)
			}
		}
	}
	switch {
	case len(problems) == 0 && err != nil:
		t.Errorf("%s: lithos accepts it, the schema does not: %v\n%s", name, err, text)
	case len(shape) > 0 && err == nil:
		t.Errorf("%s: the schema accepts it, lithos says: %s\n%s", name, strings.Join(shape, "; "), text)
	case err == nil:
		return 1, 0
	case len(broken) == 0 && !tolerated:
		t.Errorf("%s: lithos has warnings only (%v), the schema says %v\n%s", name, problems, err, text)
	}
	return 0, 1
}

// The schemas accept what lithos accepts, and reject what is of another shape:
// in the examples of the manual and of this repository, and in the corpus of
// broken hosts.
func TestSchemas(t *testing.T) {
	all := schemas(t)
	accepted, rejected := 0, 0
	count := func(a, r int) { accepted, rejected = accepted+a, rejected+r }

	for _, pattern := range []string{"../configs/testdata/manual/container-*.yaml", "../examples/*/*.yaml", "e2e/images/config/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(file) == "processes.yaml" { // cmd/e2e runs them
				count(verdict(t, file, all["process"], string(data), nil))
				continue
			}
			count(verdict(t, file, all["container"], string(data), configs.CheckContainer(file)))
		}
	}
	// The manual's others need a host around them.
	for _, kind := range []struct{ name, archive string }{
		{"master", "-- master.yaml --\nEXAMPLE"},
		{"sandbox", "-- master.yaml --\n-- processes/web.yaml --\n{}\n-- sandboxes/web.yaml --\nEXAMPLE"},
		{"process", "-- master.yaml --\n-- sandboxes/web.yaml --\nallow-users: [1-1000]\nallow-groups: [0-1000]\n-- processes/web.yaml --\nEXAMPLE"},
	} {
		files, _ := filepath.Glob("../configs/testdata/manual/" + kind.name + "-*.yaml")
		if len(files) == 0 {
			t.Errorf("no %s examples", kind.name)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			archive := strings.Replace(kind.archive, "EXAMPLE", string(data), 1)
			count(hostVerdicts(t, file, strings.TrimSuffix(archive, "\n")+"\n-- problems --\n", all))
		}
	}
	hosts, _ := filepath.Glob("../configs/testdata/broken/*.txt")
	for _, file := range hosts {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		count(hostVerdicts(t, file, string(data), all))
	}
	t.Logf("%d accepted, %d rejected", accepted, rejected)
	if accepted < 40 || rejected < 20 {
		t.Errorf("only %d files were accepted and %d rejected", accepted, rejected)
	}
}

// hostVerdicts are those of the files of one broken host.
func hostVerdicts(t *testing.T, archive, text string, all map[string]*jsonschema.Schema) (accepted, rejected int) {
	t.Helper()
	dir := t.TempDir()
	text, _, _ = strings.Cut(text, "-- problems --\n")
	text = strings.ReplaceAll(text, "HOST", dir)
	files, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			files[name] = ""
		} else if name != "" {
			files[name] += line
		}
	}
	for name, body := range files {
		if err := writeFile(filepath.Join(dir, name), func(f *os.File) error { _, err := f.WriteString(body); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"sandboxes", "processes"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(dir, "master.yaml")})
	for name, body := range files {
		var kind string
		switch {
		case name == "master.yaml":
			kind = "master"
		case strings.HasPrefix(name, "sandboxes/") && strings.HasSuffix(name, ".yaml"):
			kind = "sandbox"
		case strings.HasPrefix(name, "processes/") && strings.HasSuffix(name, ".yaml"):
			kind = "process"
		case strings.HasSuffix(name, ".yaml") && strings.Contains(body, "executable:"):
			kind = "container"
		default:
			continue
		}
		var own configs.Problems
		for _, p := range problems {
			if p.File == filepath.Join(dir, name) {
				own = append(own, p)
			}
		}
		if kind == "container" && len(own) == 0 { // perhaps nobody uses it
			own = configs.CheckContainer(filepath.Join(dir, name))
		}
		if len(own) == 0 && !read(plan, kind, name) {
			continue
		}
		a, r := verdict(t, archive+": "+name, all[kind], body, own)
		accepted, rejected = accepted+a, rejected+r
	}
	return accepted, rejected
}

// read tells whether Load came to look at a file: a master config or a sandbox
// that is broken keeps it from others.
func read(plan *configs.Plan, kind, name string) bool {
	if plan == nil {
		return false
	}
	for _, sb := range plan.Sandboxes {
		if sb.Name == strings.TrimSuffix(filepath.Base(name), ".yaml") && sb.Config == nil {
			return kind == "sandbox"
		}
	}
	return true
}
