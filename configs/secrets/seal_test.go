package secrets

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

func sealBox(t testing.TB, key *PublicKey, plain string) []byte {
	t.Helper()
	sealed, err := box.SealAnonymous(nil, []byte(plain), &key.curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Covers: J2, J4, J5
func TestSealAndOpen(t *testing.T) {
	key := newKey(t)
	for _, tt := range []struct{ name, namespace, secret string }{
		{"J4 plain", "myapp", "the_secret"},
		{"J2 default namespace", "", "the_secret"},
		{"J2 all characters of a namespace", "aZ09_.-", "x"},
		{"J4 empty secret", "myapp", ""},
		{"J4 colons in the secret", "myapp", ":a:b:"},
		{"J4 a line break at the end", "", "x\n"},
		{"J5 UTF-8", "myapp", "пароль 🔑"},
		{"J4 longest", "myapp", strings.Repeat("x", MaxSecret)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			secret, err := Open([]*PrivateKey{key}, []string{tt.namespace}, []string{seal(t, key.Public(), tt.namespace, tt.secret)})
			if err != nil || string(secret.Reveal()) != tt.secret {
				t.Errorf("got %.30q, %v", secret.Reveal(), err)
			}
		})
	}
}

// Covers: J9
func TestCiphertextsDiffer(t *testing.T) {
	key := newKey(t).Public()
	a, b := seal(t, key, "myapp", "the_secret"), seal(t, key, "myapp", "the_secret")
	i := strings.LastIndexByte(a, ':')
	if a == b || a[:i] != b[:i] || a[i:] == b[i:] {
		t.Errorf("%s\n%s", a, b)
	}
}

// Covers: J2, J5
func TestUnsealableSecrets(t *testing.T) {
	key := newKey(t).Public()
	for _, tt := range []struct{ name, namespace, secret, want string }{
		{"J2 colon", "a:b", "hunter2", `"a:b" is not a namespace`},
		{"J2 space", "a ", "hunter2", "is not a namespace"},
		{"J2 line break", "a\n", "hunter2", "is not a namespace"},
		{"J2 other letters", "ä", "hunter2", "is not a namespace"},
		{"J5 NUL", "", "hunter2\x00", "NUL"},
		{"J5 not UTF-8", "", "hunter2\xff", "not UTF-8"},
		{"too long", "", strings.Repeat("hunter2", MaxSecret/7+1), "at most 131069"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := key.Seal(tt.namespace, NewSecret([]byte(tt.secret)))
			wantError(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
}

// The hashes outside of the box are compared with its content.
//
// Covers: J5
func TestHashesAreVerifiedAfterDecryption(t *testing.T) {
	key := newKey(t)
	public := key.Public()
	flip := func(i int) string {
		v, _ := ParseValue(seal(t, public, "myapp", "hunter2"))
		v.box[(i+len(v.box))%len(v.box)] ^= 1
		return v.String()
	}
	for _, tt := range []struct{ name, value, want string }{
		{"other hash of the key", strings.Replace(seal(t, public, "myapp", "hunter2"), public.Hash().String(), "ROit92I5", 1), "sealed for the key ROit92I5, the keys here are: " + public.Hash().String()},
		{"other hash of the namespace", handmade(t, public, "other", "hunter2", "myapp:hunter2"), "its namespace is not the one"},
		{"other hash of the secret", handmade(t, public, "myapp", "other", "myapp:hunter2"), "its secret is not the one"},
		{"no namespace inside", handmade(t, public, "hunter2", "", "hunter2"), "its namespace is not the one"},
		{"a secret in its place", handmade(t, public, "", "hunter2", "hunter2:"), "its namespace is not the one"},
		{"no namespace by its form", handmade(t, public, "my app", "hunter2", "my app:hunter2"), "its namespace is not the one"},
		{"NUL", handmade(t, public, "myapp", "hunter2\x00", "myapp:hunter2\x00"), "NUL"},
		{"not UTF-8", handmade(t, public, "myapp", "hunter2\xff", "myapp:hunter2\xff"), "not UTF-8"},
		{"ephemeral key changed", flip(0), "it is damaged"},
		{"box changed", flip(40), "it is damaged"},
		{"end changed", flip(-1), "it is damaged"},
		{"not sealed at all", handmade(t, public, "myapp", "hunter2", "")[:len("v2:")+3*len("ROit92I5:")] + base64.StdEncoding.EncodeToString(make([]byte, 60)), "it is damaged"},
	} {
		t.Run("J5 "+tt.name, func(t *testing.T) {
			secret, err := Open([]*PrivateKey{key}, []string{"myapp", "other", "", "my app"}, []string{tt.value})
			wantError(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
			if len(secret.Reveal()) != 0 {
				t.Error("something came out")
			}
		})
	}
}

// Covers: J2, J3
func TestNamespacesMatchExactly(t *testing.T) {
	key := newKey(t)
	value := seal(t, key.Public(), "project1.web", "hunter2")
	for _, tt := range []struct {
		name    string
		allowed []string
		opens   bool
	}{
		{"J2 the same", []string{"project1.web"}, true},
		{"J3 one of several", []string{"", "project1.web"}, true},
		{"J2 another", []string{"project1.celery"}, false},
		{"J2 beginning", []string{"project1", "project1.", ""}, false},
		{"J2 longer", []string{"project1.web2"}, false},
		{"J2 other case", []string{"Project1.Web"}, false},
		{"J2 pattern", []string{"project1.*", "*", "project1.???", ".*"}, false},
		{"J2 none", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open([]*PrivateKey{key}, tt.allowed, []string{value})
			switch {
			case tt.opens && err != nil:
				t.Error(err)
			case !tt.opens:
				wantError(t, err, `it is sealed for the namespace "project1.web", allowed here: `+list(tt.allowed))
			}
		})
	}
}

// Covers: J6
func TestFirstThatOpensWins(t *testing.T) {
	k1, k2, other := newKey(t), newKey(t), newKey(t)
	for _, tt := range []struct {
		name   string
		keys   []*PrivateKey
		values []string
		want   string
	}{
		{"one of three values", []*PrivateKey{k1}, []string{seal(t, other.Public(), "ns", "a"), seal(t, k1.Public(), "elsewhere", "b"), seal(t, k1.Public(), "ns", "c")}, "c"},
		{"the first value", []*PrivateKey{k1}, []string{seal(t, k1.Public(), "ns", "a"), seal(t, k1.Public(), "ns", "b")}, "a"},
		{"the first key before the first value", []*PrivateKey{k1, k2}, []string{seal(t, k2.Public(), "ns", "a"), seal(t, k1.Public(), "ns", "b")}, "b"},
		{"the second key", []*PrivateKey{k1, k2}, []string{seal(t, k2.Public(), "ns", "a")}, "a"},
		{"after a damaged value", []*PrivateKey{k1}, []string{"hunter2", handmade(t, k1.Public(), "x", "y", "z"), seal(t, k1.Public(), "ns", "b")}, "b"},
		{"the same key twice", []*PrivateKey{k1, k1}, []string{seal(t, k1.Public(), "ns", "a")}, "a"},
	} {
		t.Run("J6 "+tt.name, func(t *testing.T) {
			secret, err := Open(tt.keys, []string{"ns"}, tt.values)
			if err != nil || string(secret.Reveal()) != tt.want {
				t.Errorf("got %q, %v", secret.Reveal(), err)
			}
		})
	}
}

// Covers: J6
func TestAllErrorsAreReported(t *testing.T) {
	k1, k2, other := newKey(t), newKey(t), newKey(t)
	values := []string{
		"hunter2",
		seal(t, other.Public(), "ns", "hunter2"),
		seal(t, k1.Public(), "elsewhere", "hunter2"),
		handmade(t, k2.Public(), "ns", "hunter3", "ns:hunter2"),
	}
	_, err := Open([]*PrivateKey{k1, k2, k1}, []string{"ns", ""}, values)
	want := "cannot open the secret: " +
		"value 1: it is not a sealed value, which begins with v2: lithos_crypt encrypt makes one; " +
		"value 2: it is sealed for the key " + other.Public().Hash().String() + ", the keys here are: " + k1.Public().Hash().String() + ", " + k2.Public().Hash().String() + "; " +
		`value 3: it is sealed for the namespace "elsewhere", allowed here: "ns", "" (secrets-namespaces of the sandbox, extra-secrets-namespaces of the process); ` +
		"value 4: its secret is not the one that its fourth part says: seal the secret again by lithos_crypt encrypt"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = Open(nil, []string{"ns"}, values)
	wantError(t, err, "there is no key, set secrets-private-key")
	_, err = Open([]*PrivateKey{k1}, []string{"ns"}, nil)
	wantError(t, err, "it has no value")
}

// Covers: J8
func TestDecryptTakesAnyNamespace(t *testing.T) {
	k1, k2 := newKey(t), newKey(t)
	namespace, secret, err := Decrypt([]*PrivateKey{k1, k2}, seal(t, k2.Public(), "some.namespace", "x:y"))
	if err != nil || namespace != "some.namespace" || string(secret.Reveal()) != "x:y" {
		t.Errorf("got %q, %q, %v", namespace, secret.Reveal(), err)
	}
}

// A value that was made by libsodium, for the pair of the original's tests.
//
// Covers: J4, J5
func TestKnownValueDecrypts(t *testing.T) {
	const value = "v2:eU9Tsdnn:KqWSX0BY:8MtOoWUX:FgKl8hIkj5ozU8zn7x+9Rczc2WRYhlCymqBI9g1gzF83EMz1K9sK4UaLMQ8DgDJ2dmpRx6JRhM7ornH6sIinfw=="
	secret, err := Open([]*PrivateKey{knownKey(t)}, []string{"myapp"}, []string{value})
	if err != nil || string(secret.Reveal()) != "the_secret" {
		t.Errorf("got %q, %v", secret.Reveal(), err)
	}
}

// Covers: J2
func TestValidNamespace(t *testing.T) {
	for name, want := range map[string]bool{"": true, "a": true, "some.namespace": true, "A_b-9": true, "a/b": false, "a b": false, "é": false, "a\x00": false, "*": false} {
		if got := ValidNamespace(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if names := []string{"a", ""}; list(slices.Clone(names)) != `"a", ""` || list(nil) != "none" {
		t.Errorf("got %s and %s", list(names), list(nil))
	}
}
