package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// line checks that b is one line of JSON and decodes the value of its key.
func line(t *testing.T, b []byte, key string, v any) {
	t.Helper()
	text, ok := strings.CutSuffix(string(b), "\n")
	if !ok || strings.Contains(text, "\n") {
		t.Fatalf("not one line: %q", b)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil || len(object) != 1 {
		t.Fatalf("%q: %v", b, err)
	}
	if err := json.Unmarshal(object[key], v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
}

func TestAppend(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", 3600))
	started := ProgramStarted{PID: 2, At: at}
	var gotStarted ProgramStarted
	line(t, AppendStarted(nil, &started), "started", &gotStarted)
	if gotStarted.PID != 2 || !gotStarted.At.Equal(at) {
		t.Errorf("got %+v", gotStarted)
	}
	exited := ProgramExited{Code: -1, Signal: 9, Asked: true, UserTime: 1, SysTime: 2, MaxRSS: 3 << 40, Uptime: 4, At: at}
	var gotExited ProgramExited
	line(t, AppendExited(nil, &exited), "exited", &gotExited)
	if !gotExited.At.Equal(at) {
		t.Errorf("got %+v", gotExited)
	}
	gotExited.At = at
	if !reflect.DeepEqual(gotExited, exited) {
		t.Errorf("got %+v, want %+v", gotExited, exited)
	}
	var killing bool
	line(t, AppendKilling(nil), "killing", &killing)
	if !killing {
		t.Error("killing is false")
	}
	if got := AppendKilling([]byte("before\n")); !strings.HasPrefix(string(got), "before\n{") {
		t.Errorf("got %q", got)
	}
}

func TestAppendFailed_AnyText(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{`quote " and \ backslash`, `quote " and \ backslash`},
		{"two\nlines\ttab\x00nul\x7f\x1b[1m", "two\nlines\ttab\x00nul\x7f\x1b[1m"},
		{"äöü → 😀", "äöü → 😀"},
		{"half \xe2\x82", "half \ufffd\ufffd"},
		{strings.Repeat("x", 10000), strings.Repeat("x", maxText)},
	}
	for _, tt := range tests {
		var got string
		line(t, AppendFailed(nil, tt.text), "failed", &got)
		if got != tt.want {
			t.Errorf("%q became %q", tt.text, got)
		}
	}
}

func FuzzAppendFailed(f *testing.F) {
	f.Add("text")
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		line(t, AppendFailed(nil, text), "failed", &got)
		if utf8.ValidString(text) && len(text) <= maxText && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
