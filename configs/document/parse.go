package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of one file. Container configs are written by developers who are
// hostile in the worst case, so reading one costs bounded time and memory.
const (
	MaxSize  = 1 << 20 // bytes
	maxNodes = 1 << 18 // values, after each alias is replaced by what it stands for
	maxDepth = 100     // nested lists and mappings
	// maxMarks bounds, before anything is parsed, the characters by which
	// a YAML text can grow a tree: a megabyte of commas would otherwise
	// become hundreds of megabytes of nodes.
	maxMarks = 1 << 18
)

// Parse reads one file and reports what is wrong with its text. An empty file is
// an absent value; ok is false if there was an error.
func Parse(c *Collector, data []byte) (root Value, ok bool) {
	node, ok := parse(c, data)
	return rootValue(c, node), ok
}

func parse(c *Collector, data []byte) (root *yaml.Node, ok bool) {
	if !acceptBytes(c, data) {
		return nil, false
	}
	data = asVersion11(data)
	root, second, err := decodeYAML(data)
	switch {
	case err != nil:
		at, text := locateSyntaxError(data, err)
		c.ErrorAt(at, "%s", text)
		return nil, false
	case second != nil:
		c.ErrorAt(nodePlace(second), "a second YAML document begins here: a config is one document")
		return nil, false
	}
	if root == nil {
		return nil, true
	}
	m := measurer{c: c, sizes: map[*yaml.Node]int{}}
	m.measure(root, 0)
	return root, !m.failed
}

// asVersion11 is a text whose header `%YAML 1.2` names the version that the library
// takes. What it reads is the same.
func asVersion11(data []byte) []byte {
	head := []byte("%YAML 1.2")
	if !bytes.HasPrefix(data, head) {
		return data
	}
	return append([]byte("%YAML 1.1"), data[len(head):]...)
}

// acceptBytes looks at the text before anything is parsed.
func acceptBytes(c *Collector, data []byte) bool {
	if len(data) > MaxSize {
		c.ErrorAt(Place{}, "the file is larger than %d bytes, which is the limit of a config", MaxSize)
		return false
	}
	if !utf8.Valid(data) {
		c.ErrorAt(invalidUTF8(data), "the file is not UTF-8 text")
		return false
	}
	marks := 0
	for _, b := range data {
		switch b {
		case '\n', ',', ':', '[', '{', '*', '&', '?':
			marks++
		case '-':
			marks++
		}
	}
	if marks > maxMarks {
		c.ErrorAt(Place{}, "the file has too many items: more than %d lines and punctuation marks", maxMarks)
		return false
	}
	return true
}

// invalidUTF8 is where the first byte is that is no UTF-8.
func invalidUTF8(data []byte) Place {
	at := Place{Line: 1, Column: 1}
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		at.Column++
		if r == '\n' {
			at.Line, at.Column = at.Line+1, 1
		}
		data = data[size:]
	}
	return at
}

// decodeYAML returns the first document and, if there is one, the second.
func decodeYAML(data []byte) (root, second *yaml.Node, err error) {
	defer func() {
		// The library panics on texts that its author did not think of;
		// an image must not be able to stop the daemon by one.
		if p := recover(); p != nil {
			root, second, err = nil, nil, fmt.Errorf("yaml: not understood by the YAML library: %v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var docs [2]yaml.Node
	for i := range docs {
		err := dec.Decode(&docs[i])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if docs[1].Kind != 0 {
		return nil, &docs[1], nil
	}
	if docs[0].Kind == 0 || len(docs[0].Content) == 0 {
		return nil, nil, nil
	}
	return docs[0].Content[0], nil, nil
}

// locateSyntaxError finds where a text stops being YAML. The library tells a
// line only, and for many errors it is the line where the surrounding block
// began. But it reads from the front, so the place is the end of the shortest
// prefix that gives the very same error.
func locateSyntaxError(data []byte, err error) (Place, string) {
	full := err.Error()
	same := func(n int) bool {
		_, _, err := decodeYAML(data[:n])
		return err != nil && err.Error() == full
	}
	end := shortest(len(data), same)
	// Take the whole rune that the prefix ends with.
	for end > 0 && end < len(data) && !utf8.RuneStart(data[end]) {
		end++
	}
	prefix := beforeAlias(string(data[:end]), full)
	begin := strings.LastIndexByte(strings.TrimSuffix(prefix, "\n"), '\n') + 1
	line := strings.TrimSuffix(prefix[begin:], "\n")
	at := Place{Line: strings.Count(prefix[:begin], "\n") + 1, Column: max(1, utf8.RuneCountInString(line))}

	text := strings.TrimPrefix(full, "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if num, rest, ok := strings.Cut(rest, ": "); ok {
			if _, err := strconv.Atoi(num); err == nil {
				text = rest
			}
		}
	}
	if strings.Contains(text, "expected whitespace or line break") {
		text += "; after a tag such as !TcpPort there must be a blank, before a closing brace too"
	}
	if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
		at.Column = strings.Index(indent, "\t") + 1
		return at, "not valid YAML: " + text + "; YAML is indented by blanks, this is a tab"
	}
	switch {
	case strings.Contains(text, "mapping values are not allowed"):
		text += "; the keys of one mapping have the same indentation, and a value with a colon and a blank in it is quoted"
	case strings.Contains(text, "cannot start any token"):
		text += "; quote a value that begins with it, such as \"@{port}\""
	}
	return at, "not valid YAML: " + text
}

// beforeAlias cuts a text after the asterisk of the alias that the library does
// not know: it reads on to the end of that, and of the list that it is in.
func beforeAlias(text, err string) string {
	_, rest, ok := strings.Cut(err, "unknown anchor '")
	name, _, _ := strings.Cut(rest, "' referenced")
	if i := strings.LastIndex(text, "*"+name); ok && i >= 0 {
		return text[:i+1]
	}
	return text
}

// shortest returns a length n ≤ full for which same(n) holds and same(n-1)
// does not, given that same(full) holds.
func shortest(full int, same func(int) bool) int {
	low, high := 0, full // same(high) holds
	for low < high {
		mid := (low + high) / 2
		if same(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return high
}

// measurer bounds the tree that a document stands for.
type measurer struct {
	c      *Collector
	sizes  map[*yaml.Node]int // 0 = being measured
	failed bool
}

// measure returns the number of values of n with aliases expanded. It visits
// each node once, however often aliases repeat it.
func (m *measurer) measure(n *yaml.Node, depth int) int {
	if m.failed {
		return 0
	}
	if strings.HasPrefix(n.Tag, "!*") {
		m.fail(n, "%s is not supported: a config is one file, it can't include others", n.Tag)
		return 0
	}
	if n.Kind == yaml.ScalarNode {
		return 1
	}
	size, seen := m.sizes[n]
	switch {
	case seen && size == 0:
		m.fail(n, "this value contains itself, by the alias of an anchor")
		return 0
	case seen:
		return size
	case depth > maxDepth:
		m.fail(n, "lists and mappings are nested more than %d deep", maxDepth)
		return 0
	}
	m.sizes[n] = 0
	size = 1
	if n.Kind == yaml.AliasNode {
		size = m.measure(n.Alias, depth+1)
	}
	for _, child := range n.Content {
		size += m.measure(child, depth+1)
		if size > maxNodes && !m.failed {
			m.fail(n, "more than %d values, each alias counted as what it stands for", maxNodes)
		}
	}
	m.sizes[n] = size
	return size
}

func (m *measurer) fail(n *yaml.Node, format string, args ...any) {
	if !m.failed {
		m.failed = true
		m.c.ErrorAt(nodePlace(n), format, args...)
	}
}
