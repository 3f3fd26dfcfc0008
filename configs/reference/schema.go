package reference

import (
	"encoding/json"
	"regexp"
	"strings"

	"lithos/configs"
	"lithos/configs/option"
)

// Schema is a JSON Schema.
type Schema map[string]any

// objectSchema is that of a mapping with these keys, in kebab-case or
// snake_case; keys that begin with an underscore are ignored.
func objectSchema(options []option.Info) Schema {
	properties, patterns := Schema{}, Schema{"^_": Schema{}}
	var required []any
	for _, o := range options {
		s := schemaOf(o)
		properties[o.Key] = s
		var need []any
		for _, name := range spellings(o) {
			if name != o.Key || strings.Contains(name, "-") {
				patterns["^"+strings.ReplaceAll(regexp.QuoteMeta(name), "-", "[-_]")+"$"] = s
			}
			for _, spelled := range []string{name, strings.ReplaceAll(name, "-", "_")} {
				need = append(need, Schema{"required": []string{spelled}, "properties": Schema{spelled: Schema{"not": Schema{"type": "null"}}}})
				if !strings.Contains(name, "-") {
					break
				}
			}
		}
		if o.Missing != "" {
			required = append(required, Schema{"anyOf": need})
		}
	}
	s := Schema{"type": "object", "properties": properties, "patternProperties": patterns, "additionalProperties": false}
	if len(required) > 0 {
		s["allOf"] = required
	}
	return s
}

func spellings(o option.Info) []string {
	if o.Old == "" {
		return []string{o.Key}
	}
	return []string{o.Key, o.Old}
}

// schemaOf is that of a value. Null is absence.
func schemaOf(o option.Info) Schema {
	s := Schema{"description": plainText(o.Text)}
	if o.Default != "" {
		s["description"] = plainText(o.Text) + " Default: " + o.Default
	}
	if o.Schema != "" {
		s["anyOf"] = []any{typeSchema(o.Type), Schema{"type": "null"}}
	}
	return s
}

// typeSchema is the schema of a type, with that of its fields in place.
func typeSchema(t option.Type) any {
	var s any
	if err := json.Unmarshal([]byte(t.Schema), &s); err != nil {
		panic("reference: the schema of " + t.Name + ": " + err.Error())
	}
	return withFields(s, t.Fields)
}

func withFields(s any, fields []option.Info) any {
	switch s := s.(type) {
	case string:
		if `"`+s+`"` == option.FieldsSchema {
			return objectSchema(fields)
		}
	case []any:
		for i := range s {
			s[i] = withFields(s[i], fields)
		}
	case map[string]any:
		for key := range s {
			s[key] = withFields(s[key], fields)
		}
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
	for _, name := range []string{"master", "sandbox", "process", "container"} {
		s := objectSchema(configs.Describe(name))
		if name == "process" {
			s = Schema{
				"type":                 "object",
				"patternProperties":    Schema{"^_": Schema{}, "^[0-9A-Za-z-][0-9A-Za-z_-]*$": s},
				"additionalProperties": false,
			}
		}
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
