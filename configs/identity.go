package configs

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"lithos/configs/document"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// entryJSON is an entry of a process config in canonical form. Names and order
// of the keys are those of the original, for operators who search for them in
// `ps` and in the config log (requirements O4, P7).
type entryJSON struct {
	Instances       int               `json:"instances"`
	Image           string            `json:"image"`
	Config          string            `json:"config"`
	Variables       map[string]string `json:"variables,omitempty"` // written sorted
	ExtraNamespaces []string          `json:"extra_secrets_namespaces,omitempty"`
	IPAddress       *netip.Addr       `json:"ip_address,omitempty"`
	IPAddresses     []netip.Addr      `json:"ip_addresses,omitempty"`
	Kind            Kind              `json:"kind"`
}

// instanceJSON is the part of one instance; `instances` is always 1.
func instanceJSON(p *ProcessConfig, index int) string {
	e := entryJSON{
		Instances: 1, Image: p.Image, Config: p.Config, Variables: p.Variables,
		ExtraNamespaces: p.ExtraSecretsNamespaces, Kind: p.Kind,
	}
	if index < len(p.IPAddresses) {
		e.IPAddress = &p.IPAddresses[index]
	}
	return marshal(e)
}

// ProcessesJSON is the sandbox's process config in canonical form on one line,
// for the config log (requirement P7). Entries that can't be read are not in it.
func (s *Sandbox) ProcessesJSON() string {
	all := make(map[string]entryJSON, len(s.Processes))
	for _, p := range s.Processes {
		if c := p.Config; c != nil {
			all[p.Name] = entryJSON{
				Instances: c.Instances, Image: c.Image, Config: c.Config, Variables: c.Variables,
				ExtraNamespaces: c.ExtraSecretsNamespaces, IPAddresses: c.IPAddresses, Kind: c.Kind,
			}
		}
	}
	return marshal(all)
}

// marshal writes JSON on one line without escapes for HTML. All types that it
// is given can be written.
func marshal(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("configs: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// seen is a container with what a program in it can see alone.
func seen(c *Container) *Container {
	only := *c
	for i := range effects {
		if unseen := effects[i].unseen; unseen != nil {
			unseen(&only)
		}
	}
	return &only
}

// fingerprint hashes the container that c describes. Options that only the
// supervisor uses are left out: they take effect at the next start, or at once,
// and are no reason to restart (requirement C23).
func fingerprint(c *Container, m *Master) string {
	text := appendSet(make([]byte, 0, 1024), reflect.ValueOf(seen(c)).Elem())
	sum := sha256.Sum256(strconv.AppendQuote(text, m.DevfsDir))
	return hex.EncodeToString(sum[:16])
}

// appendSet appends what is set in a value: a field that is zero is left out. So
// a release that has more options gives a container that uses none of them the
// fingerprint that it had, and an upgrade replaces nothing. It runs for each of
// a thousand instances, so there is no package fmt in it, and what is to be done
// about a type is found out once.
func appendSet(to []byte, v reflect.Value) []byte { return appenderOf(v.Type())(to, v) }

type appender func(to []byte, v reflect.Value) []byte

var appenders sync.Map // of reflect.Type

func appenderOf(t reflect.Type) appender {
	if found, ok := appenders.Load(t); ok {
		return found.(appender)
	}
	made := newAppender(t)
	appenders.Store(t, made)
	return made
}

// newAppender makes that of a type. No type of ours is in itself.
func newAppender(t reflect.Type) appender {
	named := t.PkgPath() != "" // else it has no methods
	if named && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return appendText
	}
	switch t.Kind() {
	case reflect.Struct:
		return structAppender(t)
	case reflect.Slice:
		one := appenderOf(t.Elem())
		return func(to []byte, v reflect.Value) []byte {
			to = append(strconv.AppendInt(append(to, '['), int64(v.Len()), 10), ':')
			for i := range v.Len() {
				to = one(to, v.Index(i))
			}
			return append(to, ']')
		}
	case reflect.Pointer:
		one := appenderOf(t.Elem())
		return func(to []byte, v reflect.Value) []byte { return one(append(to, '&'), v.Elem()) }
	case reflect.String:
		return func(to []byte, v reflect.Value) []byte { return append(appendQuoted(to, v.String()), ',') }
	}
	if named && t.Implements(reflect.TypeFor[fmt.Stringer]()) { // such as a time.Duration
		return func(to []byte, v reflect.Value) []byte {
			return append(append(to, v.Interface().(fmt.Stringer).String()...), ',')
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(to []byte, v reflect.Value) []byte { return append(strconv.AppendBool(to, v.Bool()), ',') }
	case reflect.Int, reflect.Int64:
		return func(to []byte, v reflect.Value) []byte { return append(strconv.AppendInt(to, v.Int(), 10), ',') }
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(to []byte, v reflect.Value) []byte { return append(strconv.AppendUint(to, v.Uint(), 10), ',') }
	}
	return func([]byte, reflect.Value) []byte { panic("configs: no fingerprint for a " + t.String()) }
}

func appendText(to []byte, v reflect.Value) []byte {
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		panic("configs: " + err.Error())
	}
	return appendQuoted(to, string(b))
}

// appendQuoted is strconv.AppendQuote, faster for what needs no escapes.
func appendQuoted(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(to, s)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

func structAppender(t reflect.Type) appender {
	type field struct {
		name   string
		slice  bool
		append appender
	}
	fields := make([]field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = field{f.Name + ":", f.Type.Kind() == reflect.Slice, appenderOf(f.Type)}
	}
	return func(to []byte, v reflect.Value) []byte {
		to = append(to, '{')
		for i := range fields {
			f, one := &fields[i], v.Field(i)
			if f.slice && one.Len() == 0 || !f.slice && one.IsZero() {
				continue
			}
			to = f.append(append(to, f.name...), one)
		}
		return append(to, '}')
	}
}

// WithName is the instance under another name: a command's is only known when
// it is started, and arguments and environment may hold it (requirements D10, F8).
func (in *Instance) WithName(name string) *Instance {
	return in.recipe.instance(name, in.Index)
}

// Place is where an option of the instance's container config stands, such as
// "workdir" or "volumes./tmp".
func (in *Instance) Place(option string) document.Place {
	t := in.recipe.t
	if point, volume := strings.CutPrefix(option, "volumes."); volume {
		for i := range t.volumes {
			if t.volumes[i].MountPoint == point {
				return t.volumes[i].at
			}
		}
	}
	return t.At(option)
}

// Collector gathers problems of the instance's container config.
func (in *Instance) Collector() *document.Collector {
	return &document.Collector{File: in.recipe.t.file, Text: in.recipe.t.text}
}
