package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// shown formats x in every way a careless line of code could. Deep in an
// unexported field no method of x can be called.
func shown(t *testing.T, x any) string {
	t.Helper()
	type hidden struct{ x any }
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%b", "%o", "%p", "%t", "%e", "%T", "%-5v", "%05d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", x, []any{x}, map[string]any{"k": x})
		fmt.Fprintf(&out, verb+" "+verb+"\n", hidden{x}, &hidden{x})
	}
	fmt.Fprintln(&out, x, fmt.Errorf("failed with %v", x))
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		data, err := marshal(map[string]any{"k": x, "list": []any{x}})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "x", x, "hidden", hidden{x})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "x", x, "hidden", hidden{x})
	return out.String()
}

// spellings are the ways in which bytes are printed, by a beginning of them.
func spellings(raw []byte) []string {
	b := raw[:4]
	list := strings.Trim(fmt.Sprint(b), "[]")
	return []string{
		string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%X", b), list, strings.ReplaceAll(list, " ", ","), strings.ReplaceAll(list, " ", ", "),
		strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"), strings.Trim(fmt.Sprintf("%o", b), "[]"), strings.Trim(fmt.Sprintf("%b", b), "[]"),
		strings.Trim(fmt.Sprintf("%c", b), "[]"), strings.Trim(fmt.Sprintf("%U", b), "[]"), strings.Trim(fmt.Sprintf("%q", b), `[]'"`),
	}
}

// Covers: J9
func TestNothingPrintsASecret(t *testing.T) {
	secret := NewSecret([]byte("hunter2hunter2"))
	key := newKey(t)
	for _, tt := range []struct {
		name string
		x    any
		raw  []byte
	}{
		{"secret", secret, secret.Reveal()},
		{"pointer", &secret, secret.Reveal()},
		{"field", struct{ S Secret }{secret}, secret.Reveal()},
		{"unexported field", struct{ s Secret }{secret}, secret.Reveal()},
		{"list", []Secret{secret}, secret.Reveal()},
		{"key", key, key.scalar()[:]},
		{"key by value", *key, key.scalar()[:]},
		{"unexported key", struct{ k PrivateKey }{*key}, key.scalar()[:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := shown(t, tt.x)
			for _, s := range spellings(tt.raw) {
				if strings.Contains(out, s) {
					t.Errorf("%q is in\n%s", s, out)
				}
			}
		})
	}
	if got := fmt.Sprintf("%v %x %#v", secret, secret, secret); got != "[secret] [secret] [secret]" {
		t.Errorf("got %s", got)
	}
	if got, want := fmt.Sprintf("%v %x", key, *key), "[private key "+key.Public().Hash().String()+"]"; got != want+" "+want {
		t.Errorf("got %s", got)
	}
}

// The test above is worth something only if it would find one.
func TestSpellingsAreFound(t *testing.T) {
	raw := []byte("hunter2hunter2")
	out := shown(t, raw)
	for _, s := range spellings(raw) {
		if !strings.Contains(out, s) && !strings.Contains(s, ",") {
			t.Errorf("%q is not in\n%s", s, out)
		}
	}
}

func TestSecretKeepsACopyAndIsWiped(t *testing.T) {
	text := []byte("hunter2")
	s := NewSecret(text)
	text[0] = 'X'
	kept := s.Reveal()
	if string(kept) != "hunter2" {
		t.Fatalf("got %s", kept)
	}
	other := s
	s.Wipe()
	s.Wipe()
	if !bytes.Equal(kept, make([]byte, len(kept))) || len(s.Reveal()) != 0 || len(other.Reveal()) != 0 {
		t.Errorf("left: %q, %q, %q", kept, s.Reveal(), other.Reveal())
	}
	var zero Secret
	zero.Wipe()
	if len(zero.Reveal()) != 0 {
		t.Error("the zero value is not empty")
	}
	key := newKey(t)
	value := seal(t, key.Public(), "", "x")
	key.Wipe()
	if *key.scalar() != [32]byte{} {
		t.Error("the key is not wiped")
	}
	if _, _, err := Decrypt([]*PrivateKey{key}, value); err == nil {
		t.Error("a wiped key opens")
	}
}
