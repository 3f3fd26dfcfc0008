package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// yamlWriter writes a container config. It is written by hand and not by a
// library, because a reader needs its comments most.
type yamlWriter struct{ strings.Builder }

func (w *yamlWriter) line(s string) { w.WriteString(s + "\n") }

func (w *yamlWriter) comment(lines ...string) {
	for _, l := range lines {
		w.line("# " + strings.ReplaceAll(l, "\n", " "))
	}
}

func (w *yamlWriter) pair(indent, key, value string) {
	w.line(indent + scalar(key) + ": " + scalar(value))
}

// plain are strings that are the same with and without quotes, to every reader
// of YAML.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/_.,=+@%-]*(:[A-Za-z0-9/_.,=+@%-]+)*$`)

var words = regexp.MustCompile(`(?i)^(null|true|false|yes|no|on|off|y|n)$`)

// scalar writes a string; JSON's quoted strings are YAML's, too.
func scalar(s string) string {
	if plain.MatchString(s) && !words.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// A string can always be encoded.
	_ = e.Encode(s)
	// DEL and the C1 controls are no characters of YAML.
	return regexp.MustCompile("[\x7f\u0080-\u009f]").ReplaceAllString(strings.TrimSpace(b.String()), "?")
}
