package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"
)

// manualValue is the example of the manual, 8.3.1: "the_secret" for "myapp".
const manualValue = "v2:ROit92I5:KqWSX0BY:8MtOoWUX:nHcVCIWZG2hivi0rKa8MRnAIbt7TDTHB8YC8bBnac3IGMzk57R/HsBhxeqCdC7Ljyf8pszBBjIGD33f61wBM7Q=="

// Covers: J4
func TestManualsExampleIsParsed(t *testing.T) {
	v, err := ParseValue(manualValue)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want string
	}{
		{"key", v.Key.String(), "ROit92I5"},
		{"namespace", v.Namespace.String(), ShortHash([]byte("myapp")).String()},
		{"secret", v.Secret.String(), ShortHash([]byte("the_secret")).String()},
		{"secret as printed", ShortHash([]byte("the_secret")).String(), "8MtOoWUX"},
		{"namespace as printed", ShortHash([]byte("myapp")).String(), "KqWSX0BY"},
		{"again", v.String(), manualValue},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	if n := len(v.box); n != 32+16+len("myapp:the_secret") {
		t.Errorf("the box has %d bytes", n)
	}
}

// Covers: J4
func TestHashesMatchB2sum(t *testing.T) {
	for _, text := range []string{"", "myapp", "some.namespace", "project1.web", "the_secret", "пароль", strings.Repeat("long ", 1000), string(unhex(t, knownPublic))} {
		cmd := exec.Command("b2sum", "-l48")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("b2sum: %v (it is of coreutils)", err)
		}
		raw, err := hex.DecodeString(strings.Fields(string(out))[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := ShortHash([]byte(text)).String(), base64.StdEncoding.EncodeToString(raw); got != want {
			t.Errorf("%.20q: got %s, b2sum says %s", text, got, want)
		}
	}
}

// The hash of the key is over the bytes of the ed25519 key, not over its X25519
// form and not over the whole line.
//
// Covers: J4
func TestKeyHash(t *testing.T) {
	file := keyFile(t)
	_, raw := parts(t, readFile(t, file))
	key, err := ParsePublicKey(readFile(t, file+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	if key.Hash() != ShortHash(raw) {
		t.Errorf("got %s, want %s", key.Hash(), ShortHash(raw))
	}
	if prefix := "v2:" + ShortHash(raw).String() + ":" + ShortHash([]byte("ns")).String() + ":" + ShortHash([]byte("x")).String() + ":"; !strings.HasPrefix(seal(t, key, "ns", "x"), prefix) {
		t.Errorf("a value does not begin with %s", prefix)
	}
}

// Covers: J4
func TestBrokenValuesAreRefused(t *testing.T) {
	const payload = "nHcVCIWZG2hivi0rKa8MRnAIbt7TDTHB8YC8bBnac3IGMzk57R/HsBhxeqCdC7Ljyf8pszBBjIGD33f61wBM7Q=="
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "it is not a sealed value"},
		{"a password", "hunter2", "it is not a sealed value"},
		{"version 1", "v1:x:y:z:a", "version 1, which is not supported any more"},
		{"version 3", "v3:ROit92I5:KqWSX0BY:8MtOoWUX:" + payload, "it is not a sealed value"},
		{"version only", "v2", "five parts"},
		{"four parts", "v2:ROit92I5:KqWSX0BY:" + payload, "five parts"},
		{"six parts", manualValue + ":", "five parts"},
		{"long hash", "v2:ROit92I5AAAA:KqWSX0BY:8MtOoWUX:" + payload, "hashes of 8 characters"},
		{"empty hash", "v2:ROit92I5::8MtOoWUX:" + payload, "hashes of 8 characters"},
		{"hash is not base64", "v2:ROit92I5:KqWSX0BY:8MtOoW!X:" + payload, "hashes of 8 characters"},
		{"line break in a hash", "v2:ROit92I5:KqWSX0BY:8MtO\noWUX:" + payload, "hashes of 8 characters"},
		{"space before", " " + manualValue, "it is not a sealed value"},
		{"space after", manualValue + " ", "not base64"},
		{"line break after", manualValue + "\n", "not base64"},
		{"no padding", strings.TrimRight(manualValue, "="), "not base64"},
		{"bits in the padding", strings.Replace(manualValue, "7Q==", "7R==", 1), "not base64"},
		{"URL's base64", strings.Replace(manualValue, "/", "_", 1), "not base64"},
		{"end is missing", manualValue[:len(manualValue)-40], "too short"},
		{"nothing sealed", "v2:ROit92I5:KqWSX0BY:8MtOoWUX:" + base64.StdEncoding.EncodeToString(make([]byte, 48)), "too short"},
	} {
		t.Run("J4 "+tt.name, func(t *testing.T) {
			_, err := ParseValue(tt.text)
			wantError(t, err, tt.want)
			if err != nil && len(tt.text) > 2 && strings.Contains(err.Error(), tt.text) {
				t.Errorf("the text is in the error: %v", err)
			}
		})
	}
}
