package document

import (
	"reflect"
	"strings"
	"testing"
)

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

func TestSuggest(t *testing.T) {
	keys := []string{"executable", "environ", "kind", "memory-limit", "volumes"}
	for word, want := range map[string]string{
		"executible": "executable", "enviorn": "environ", "env": "", "kidn": "kind", "memory": "", "memmory-limt": "memory-limit",
		"Volumes": "volumes", "x": "", strings.Repeat("v", 10000): "",
	} {
		equal(t, Clip(word), Suggest(word, keys), want)
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"wbe", "web", 1}, {"äb", "b", 1}} {
		equal(t, c.a+"/"+c.b, distance(c.a, c.b), c.want)
	}
}

// Covers: A5
func TestReadLines(t *testing.T) {
	text := NewText([]byte("\ufeffone\r\ntwo\rthree\n\nfive\u0085six\u2028seven"))
	for n, want := range []string{"", "one", "two", "three", "", "five", "six", "seven", ""} {
		if got := text.line(n); got != want {
			t.Errorf("line %d is %q, want %q", n, got, want)
		}
	}
	if got := (*Text)(nil).line(1); got != "" {
		t.Errorf("without a text: %q", got)
	}
}

// Covers: A5
func TestSyntaxErrorsHavePositions(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"A5 bad indent", "a:\n  b: 1\n c: 2\n", "3:2: "},
		{"A5 colon in a value", "x: y\na: b: c\n", "2:5: "},
		{"A5 tab", "a:\n  b: 1\n\tc: 2\n", "3:1: "},
		{"A5 unclosed list", "a: 1\nb: [1, 2\nc: 3\n", "2:8: "},
		{"A5 unclosed quote", "a: 1\nb: \"x\n", "2:5: "},
		{"A5 unknown alias", "a: 1\nb: 2\nc: *nobody\n", "3:4: "},
		{"A5 unknown alias among others", "a: &b 1\nä: [*b, *who, *b]\n", "2:9: "},
		{"A5 same message earlier in the file", "a: [1,\n  2]\nb: 1\nc: [3 }\n", "4:7: "},
		{"A5 second document", "a: 1\n---\nb: 2\n", "2:1: "},
		{"A5 not UTF-8", "a: 1\nbä: \xff\n", "2:5: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			col := &Collector{File: "x"}
			if _, ok := parse(col, []byte(c.text)); ok {
				t.Fatal("accepted")
			}
			if len(col.List) != 1 || !strings.HasPrefix(col.List[0].String(), "x:"+c.want+"error: ") {
				t.Errorf("got %v, want it at %s", col.List, c.want)
			}
		})
	}
}
