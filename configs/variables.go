package configs

import (
	"slices"
	"strconv"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// variable is one declaration of a container config (requirement F1).
type variable struct {
	name    string
	kind    string   // the tag
	systemd bool     // TcpPort with `activation: systemd`
	choices []string // Choice
	at      document.Place
}

const (
	tagTCPPort    = "!TcpPort"
	tagName       = "!Name"
	tagDottedName = "!DottedName"
	tagChoice     = "!Choice"
)

var variableTags = []string{tagTCPPort, tagName, tagDottedName, tagChoice}

// activationTable is the option of `!TcpPort`.
var activationTable = option.NewTable(
	option.Of("activation", activation, func(d *variable) *bool { return &d.systemd }, option.Doc{Default: "none", Example: "systemd", Manual: "5.1",
		Text: "`systemd` passes the socket by `LISTEN_FDS`, without more in `tcp-ports` and `environ`."}),
)

// activation is a word, which may be written as a tag too.
var activation = option.Kind[bool]{
	Type: option.Type{Name: "`none` or `systemd`", Schema: `{"type": ["string", "null"]}`},
	Read: func(v document.Value, _ bool) bool {
		return v.TagAsWord().OneOf("none", "none", "systemd") == "systemd"
	},
}

// Activation describes the options of `!TcpPort`.
func Activation() []option.Info { return activationTable.Infos() }

// variableType is that of a value of variables. An editor drops the tags.
var variableType = option.Mapping("from a name to a type, see below", option.Type{
	Schema: option.AnyOf(`{"type": "null"}`, `{"type": "string", "maxLength": 0}`,
		`{"type": "array", "items": `+option.Text.Schema+`, "minItems": 1}`, option.FieldsSchema),
	Fields:    activationTable.Infos(),
	Elsewhere: true,
})

// readVariables reads the declarations, by name.
func readVariables(v document.Value) []variable {
	list, _ := v.Entries()
	var vars []variable
	for _, e := range list {
		if strings.HasPrefix(e.Name, "lithos:") {
			e.Errorf("names that begin with lithos: are built in, they need no declaration")
			continue
		}
		if d, ok := readVariable(e); ok {
			vars = append(vars, d)
		}
	}
	return sortedBy(vars, func(d variable) string { return d.name })
}

func readVariable(e document.Entry) (variable, bool) {
	v := e.Value
	d := variable{name: e.Name, kind: v.Tag(), at: e.KeyPlace()}
	body := v.WithoutTag()
	ok := true
	switch d.kind {
	case "":
		if meant := "!" + body.Quiet().Str(""); slices.Contains(variableTags, meant) {
			v.Errorf("a variable has a type, which begins with an exclamation mark: %s", meant)
			d.kind = meant // it is declared, for those who use it
			return d, true
		}
		v.Errorf("a variable has a type, one of %s", strings.Join(variableTags, ", "))
		return d, false
	case tagTCPPort:
		_, ok = activationTable.Read(body, &d)
		if d.systemd && strings.ContainsFunc(d.name, func(r rune) bool { return r <= ' ' || r == ':' || r >= 0x7f }) {
			v.Errorf("the name %q can't be in LISTEN_FDNAMES, which separates names by colons", document.Clip(d.name))
			ok = false
		}
	case tagName, tagDottedName:
		if !body.Empty() {
			v.Errorf("%s takes no value", d.kind)
			ok = false
		}
	case tagChoice:
		if d.choices = body.Strings(); len(d.choices) == 0 {
			v.Errorf("%s takes a list of values", d.kind)
			ok = false
		}
	default:
		v.Errorf("unknown type of variable %s%s", document.Clip(d.kind), v.Collector().DidYouMean(d.kind, variableTags))
		return d, false
	}
	return d, ok
}

// check says what is wrong with a value for the variable, or "". The range of
// a port is not looked at in a bridged sandbox, where it is the container's
// own unless it is external (requirement F4). portsAt says where it is set.
func (d *variable) check(s string, sb *SandboxConfig, portsAt string) string {
	switch d.kind {
	case tagTCPPort:
		port, err := parsePort(s)
		if err != nil {
			return document.Quote(s) + " " + err.Error()
		}
		if sb != nil && sb.Bridged == nil && !document.InRanges(sb.AllowTCPPorts, uint32(port)) {
			return notAllowed(port, sb, portsAt)
		}
	case tagName:
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '-' }) {
			return document.Quote(s) + " is not a !Name: letters, digits, `_` and `-`, at least one"
		}
	case tagDottedName:
		return checkDottedName(s)
	case tagChoice:
		if !slices.Contains(d.choices, s) {
			return document.Quote(s) + " is not one of the choices " + document.Clip(strings.Join(d.choices, ", ")) + document.DidYouMean(s, d.choices)
		}
	}
	return ""
}

func checkDottedName(s string) string {
	for part := range strings.SplitSeq(s, ".") {
		switch {
		case part == "":
			return document.Quote(s) + " is not a !DottedName: it has an empty part"
		case part[0] == '-' || part[len(part)-1] == '-':
			return document.Quote(s) + " is not a !DottedName: a part begins or ends with a dash"
		case strings.ContainsFunc(part, func(r rune) bool { return !isWord(r) && r != '-' }):
			return document.Quote(s) + " is not a !DottedName: letters, digits, `_`, `-` and dots"
		}
	}
	return ""
}

func notAllowed(port uint16, sb *SandboxConfig, at string) string {
	return "port " + strconv.Itoa(int(port)) + " is not in allow-tcp-ports " + document.FormatRanges(sb.AllowTCPPorts) + " of the sandbox" + at
}

// parsePort reads 1..65535; port 0, which is "any", is refused (requirement F4).
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	switch {
	case err != nil:
		return 0, document.Error("is not a TCP port, 1 to 65535")
	case n == 0:
		return 0, document.Error("is not a TCP port: 0 would be any")
	}
	return uint16(n), nil
}

// The built-in variables (requirement F8).
const (
	builtinName   = "lithos:name"
	builtinConfig = "lithos:config_filename"
	builtinPID    = "lithos:pid"
)

var builtins = []string{builtinName, builtinConfig, builtinPID}

// substitute replaces each `@{name}` in s, blanks inside the braces trimmed. An
// unclosed brace stays as it is; there is no escape (requirement F6).
func substitute(s string, replace func(name string) string) string {
	begin := strings.Index(s, "@{")
	if begin < 0 {
		return s
	}
	var b strings.Builder
	for begin >= 0 {
		length := strings.IndexByte(s[begin:], '}')
		if length < 0 {
			break
		}
		b.WriteString(s[:begin])
		b.WriteString(replace(strings.TrimSpace(s[begin+2 : begin+length])))
		s = s[begin+length+1:]
		begin = strings.Index(s, "@{")
	}
	b.WriteString(s)
	return b.String()
}

// isPID tells whether s is `@{lithos:pid}` and nothing else.
func isPID(s string) bool {
	inner, ok := strings.CutPrefix(s, "@{")
	inner, ok2 := strings.CutSuffix(inner, "}")
	return ok && ok2 && strings.TrimSpace(inner) == builtinPID
}

// checkSubstitutions reports variables that are used but neither declared nor
// built in (requirement F7), in arguments, values of environ and keys of
// tcp-ports, the only places where they are replaced (F5), and in checks.
func (t *template) checkSubstitutions(c *document.Collector) {
	names := slices.Clone(builtins)
	known := map[string]bool{builtinName: true, builtinConfig: true}
	for _, d := range t.variables {
		names = append(names, d.name)
		known[d.name] = true
	}
	t.used = map[string]bool{}
	for _, d := range t.activated() {
		t.used[d.name] = true
	}
	look := func(s string, at document.Place) {
		substitute(s, func(name string) string {
			t.used[name] = true
			switch {
			case name == builtinPID:
				c.ErrorAt(at, "@{%s} can only be the whole value of a variable in environ", builtinPID)
			case !known[name]:
				c.ErrorAt(at, "variable %q is not declared in variables%s", document.Clip(name), c.DidYouMean(name, names))
			}
			return ""
		})
	}
	for _, a := range t.arguments {
		look(a.value, a.at)
	}
	for _, e := range t.environ {
		if !isPID(e.value.Value) {
			look(e.value.Value, e.at)
		}
	}
	for _, p := range t.ports {
		look(p.key, p.at)
	}
	for _, s := range append(t.ready.substituted(), t.health.substituted()...) {
		look(s.value, s.at)
	}
}
