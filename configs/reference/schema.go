package reference

import (
	"encoding/json"
	"regexp"
	"strings"
)

// objectSchema is that of a mapping with these keys, in kebab-case or
// snake_case; keys that begin with an underscore are ignored.
func objectSchema(options []Option) Schema {
	properties, patterns := Schema{}, Schema{"^_": Schema{}}
	var required []Schema
	for _, o := range options {
		s := o.schema()
		properties[o.Name] = s
		spellings := []string{o.Name}
		if o.Old != "" {
			spellings = append(spellings, o.Old)
		}
		var need []Schema
		for _, name := range spellings {
			if name != o.Name || strings.Contains(name, "-") {
				patterns["^"+strings.ReplaceAll(regexp.QuoteMeta(name), "-", "[-_]")+"$"] = s
			}
			for _, spelled := range []string{name, strings.ReplaceAll(name, "-", "_")} {
				need = append(need, Schema{"required": []string{spelled}, "properties": Schema{spelled: Schema{"not": Schema{"type": "null"}}}})
				if !strings.Contains(name, "-") {
					break
				}
			}
		}
		if o.Need {
			required = append(required, anyOf(need...))
		}
	}
	s := Schema{"type": "object", "properties": properties, "patternProperties": patterns, "additionalProperties": false}
	if len(required) > 0 {
		s["allOf"] = required
	}
	return s
}

// schema is that of a value. Null is absence.
func (o Option) schema() Schema {
	s := Schema{"description": plainText(o.Text), "anyOf": []Schema{o.Type.Schema, {"type": "null"}}}
	if len(o.Type.Schema) == 0 {
		delete(s, "anyOf")
	}
	if o.Default != "" {
		s["description"] = plainText(o.Text) + " Default: " + o.Default
	}
	return s
}

// plainText takes Markdown's links out.
func plainText(s string) string {
	return regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(s, "$1")
}

// Schemas are the JSON Schemas of the configs, by their names.
func Schemas() map[string][]byte {
	files := map[string][]byte{}
	for name, s := range map[string]Schema{
		"master": objectSchema(Master), "sandbox": objectSchema(Sandbox), "container": objectSchema(Container),
		"process": {
			"type":                 "object",
			"patternProperties":    Schema{"^_": Schema{}, "^[0-9A-Za-z-][0-9A-Za-z_-]*$": objectSchema(Process)},
			"additionalProperties": false,
		},
	} {
		s["$schema"] = "http://json-schema.org/draft-07/schema#"
		s["title"] = "lithos " + name + " config"
		if name == "master" || name == "process" {
			// An empty file is one.
			s["type"] = []string{"object", "null"}
		}
		// Maps, strings and numbers can always be encoded.
		data, _ := json.MarshalIndent(s, "", " ")
		files[name] = append(data, '\n')
	}
	return files
}
