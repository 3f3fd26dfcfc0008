package control

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/cgroup"
	"lithos/sysx/sock"
)

var update = flag.Bool("update", false, "write docs/control-openapi.json anew")

const openAPIFile = "../../../docs/control-openapi.json"

type object = map[string]any

// operation is one thing that can be asked for.
type operation struct {
	method, path, summary string
	params                []string // of the query
	body, answer          any
	status                int
	media                 string
	ask                   string // the path of the question that the test asks
}

var operations = []operation{
	{"get", "/v1/status", "Everything", []string{"usage"}, nil, api.Status{}, 200, jsonType, "/v1/status?usage=true"},
	{"get", "/v1/instances", "The instances", []string{"sandbox", "process", "instance", "usage"}, nil, api.Instances{}, 200, jsonType, "/v1/instances?usage=true"},
	{"get", "/v1/instances/{sandbox}/{process}", "One instance, PROCESS.INDEX", nil, nil, api.Instance{}, 200, jsonType, "/v1/instances/web/app.0"},
	{"get", "/v1/instances/{sandbox}/{process}/deaths", "How one died lately, the newest first", nil, nil, api.Deaths{}, 200, jsonType, "/v1/instances/web/app.0/deaths"},
	{"get", "/v1/deaths", "How containers died lately, the newest first", []string{"sandbox", "process", "instance", "limit"}, nil, api.Deaths{}, 200, jsonType, "/v1/deaths"},
	{"get", "/v1/events", "What happens, an object a line", []string{"since", "daemon"}, nil, api.Event{}, 200, "application/x-ndjson", "/v1/events?since=0"},
	{"get", "/v1/wait", "An answer when it has come about", []string{"reload", "sandbox", "process", "instance", "state", "stable", "timeout"}, nil, api.WaitResult{}, 200, jsonType, "/v1/wait?reload=9"},
	{"get", "/v1/log-level", "The log level", nil, nil, api.LogLevel{}, 200, jsonType, "/v1/log-level"},
	{"put", "/v1/log-level", "Set the level of all logs until the next reload", nil, api.LogLevel{}, api.LogLevel{}, 200, jsonType, "/v1/log-level"},
	{"post", "/v1/reload", "Read the configs again, as QUIT", nil, nil, api.ReloadAsked{}, 202, jsonType, "/v1/reload"},
}

const jsonType = "application/json"

// document is the whole description.
func document() object {
	schemas, paths := object{}, object{}
	failure := object{"description": "Why it was refused", "content": object{jsonType: object{"schema": schemaOf(reflect.TypeOf(api.Error{}), schemas)}}}
	for _, o := range operations {
		params := []object{}
		for _, segment := range strings.Split(o.path, "/") {
			if name, ok := strings.CutPrefix(segment, "{"); ok {
				params = append(params, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		for _, name := range o.params {
			params = append(params, object{"name": name, "in": "query", "schema": object{"type": "string"}})
		}
		op := object{"summary": o.summary, "parameters": params, "responses": object{
			fmt.Sprint(o.status): object{"description": "The answer", "content": object{o.media: object{"schema": schemaOf(reflect.TypeOf(o.answer), schemas)}}},
			"default":            failure,
		}}
		if o.body != nil {
			op["requestBody"] = object{"required": true, "content": object{jsonType: object{"schema": schemaOf(reflect.TypeOf(o.body), schemas)}}}
		}
		if paths[o.path] == nil {
			paths[o.path] = object{}
		}
		paths[o.path].(object)[o.method] = op
	}
	paths["/metrics"] = object{"get": object{"summary": "Metrics in the text format of Prometheus", "responses": object{
		"200": object{"description": "The answer", "content": object{"text/plain": object{"schema": object{"type": "string"}}}}}}}
	return object{
		"openapi": "3.0.3",
		"info":    object{"title": "The control socket of lithos_tree", "version": "1", "description": "HTTP on the Unix socket <runtime-dir>/control.sock; see control.md. Generated from actors/services/api."},
		"paths":   paths, "components": object{"schemas": schemas},
	}
}

// schemaOf describes a type as it is written in JSON.
func schemaOf(t reflect.Type, schemas object) object {
	switch {
	case t == reflect.TypeOf(time.Time{}):
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case t.Kind() == reflect.Struct:
		if schemas[t.Name()] == nil {
			properties, required := object{}, []string{}
			schemas[t.Name()] = object{"type": "object", "properties": properties, "additionalProperties": false}
			for _, f := range reflect.VisibleFields(t) {
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				if name == "" {
					continue // embedded: its fields are listed
				}
				properties[name] = schemaOf(f.Type, schemas)
				if options == "" {
					required = append(required, name)
				}
			}
			schemas[t.Name()].(object)["required"] = required
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return object{"type": "number"}
	case t.Kind() == reflect.String:
		return object{"type": "string"}
	}
	return object{"type": "integer"}
}

func TestOpenAPIIsOfTheseTypes(t *testing.T) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(openAPIFile, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(openAPIFile); err != nil || !bytes.Equal(now, text.Bytes()) {
		t.Errorf("docs/control-openapi.json is not of these types: go test ./actors/services/control -run OpenAPI -update (%v)", err)
	}
}

// conforms says what in an answer is not as the schema has it.
func conforms(root, schema object, v any, at string) []string {
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["components"].(object)["schemas"].(object)[filepath.Base(ref)].(object)
	}
	var wrong []string
	switch schema["type"] {
	case "object":
		m, ok := v.(object)
		if !ok {
			return []string{at + " is no object"}
		}
		properties := schema["properties"].(object)
		for name, value := range m {
			if p, known := properties[name].(object); known {
				wrong = append(wrong, conforms(root, p, value, at+"."+name)...)
			} else {
				wrong = append(wrong, at+"."+name+" is not described")
			}
		}
		for _, name := range schema["required"].([]any) {
			if _, there := m[name.(string)]; !there {
				wrong = append(wrong, fmt.Sprint(at, ".", name, " is missing"))
			}
		}
		return wrong
	case "array":
		list, ok := v.([]any)
		if !ok {
			return []string{at + " is no array"}
		}
		for i, e := range list {
			wrong = append(wrong, conforms(root, schema["items"].(object), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return wrong
	}
	is := "nothing"
	switch x := v.(type) {
	case string:
		is = "string"
		if _, err := time.Parse(time.RFC3339Nano, x); schema["format"] == "date-time" && err != nil {
			return []string{at + " is no time: " + x}
		}
	case bool:
		is = "boolean"
	case float64:
		is = "number"
		if schema["type"] == "integer" && x == float64(int64(x)) {
			is = "integer"
		}
	}
	if is != schema["type"] {
		return []string{fmt.Sprintf("%s is %s, not %s", at, is, schema["type"])}
	}
	return nil
}

// full is a stage with as much on it as there can be.
func full(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	store, err := deaths.New(filepath.Join(dir, "deaths"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	n, cpu := int64(1), 1.5
	exit := &status.Exit{At: time.Now(), PID: 7, Words: "exited with code 3", Code: 3, Cause: api.CauseItself, Failure: true, Uptime: 1}
	v := version("web/app.0", "v1")
	store.Add(deaths.Entry{From: -1, Death: &api.Death{Name: v.Name, Exit: *exit, OOMKills: &n, MemoryPeak: &n, CPU: &cpu,
		Version: &api.Version{Image: "/i"}, Degraded: []string{"x"}, OutputFile: "/log", OutputShared: true, Asked: "operator", Started: time.Now()}})
	store.Close()
	board := status.New()
	board.BeginReload()
	board.EndReload(&status.Config{
		Wanted:   map[string]*configs.Instance{v.Name: v},
		Problems: configs.Problems{{File: "/f", Line: 1, Column: 2, Path: "p", Text: "t", Sandbox: "web", Process: "app"}},
		Objects:  []api.Object{{Sandbox: "web", Process: "app", State: api.ObjectFrozen}},
	}, "refused")
	in := running(v, 7)
	in.LastExit, in.Degraded, in.Log, in.NextTry, in.NextTryWhy = exit, []string{"x"}, "/log", time.Now(), "why"
	board.Publish(in)
	l, err := sock.ListenUnix(filepath.Join(dir, "s"), 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	server := Serve(l, Config{
		Board: board, Deaths: store, Log: zerolog.Nop(), Version: "1", PID: 1, MasterFile: "/m", Group: -1, Reload: make(chan struct{}, 1),
		Level: func() string { return "warn" }, SetLevel: func(string) error { return nil },
		Probe: func([]Probed) []Probe {
			return []Probe{{Usage: cgroup.Usage{Memory: 1, MemoryPeak: 2, MemoryLimit: 3, CPU: time.Second, Processes: 1}, ProgramPID: 8, ProgramStarted: time.Now()}}
		},
	})
	t.Cleanup(func() { _ = server.Close() })
	return filepath.Join(dir, "s")
}

func TestOpenAPIDescribesRealAnswers(t *testing.T) {
	path := full(t)
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var root object
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
	ask := func(method, url, body string) (int, any) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), "http://lithos"+url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var v any
		if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&v); err != nil {
			t.Fatalf("%s %s: %v", method, url, err)
		}
		return answer.StatusCode, v
	}
	for _, o := range operations {
		body := ""
		if o.body != nil {
			body = `{"level":"debug"}`
		}
		code, v := ask(o.method, o.ask, body)
		described := root["paths"].(object)[o.path].(object)[o.method].(object)["responses"].(object)[fmt.Sprint(code)]
		if described == nil {
			t.Errorf("%s %s: status %d is not described", o.method, o.ask, code)
			continue
		}
		schema := described.(object)["content"].(object)[o.media].(object)["schema"].(object)
		for _, wrong := range conforms(root, schema, v, o.path) {
			t.Error(wrong)
		}
	}
	code, v := ask("get", "/v1/nothing", "")
	for _, wrong := range conforms(root, object{"$ref": "#/components/schemas/Error"}, v, "error") {
		t.Errorf("status %d: %s", code, wrong)
	}
	if wrong := conforms(root, object{"$ref": "#/components/schemas/LogLevel"}, object{"levels": 1.5}, ""); len(wrong) != 2 {
		t.Errorf("anything conforms: %v", wrong)
	}
}
