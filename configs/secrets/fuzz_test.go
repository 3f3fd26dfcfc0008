package secrets

import (
	"encoding/pem"
	"strings"
	"testing"
)

func FuzzParseValue(f *testing.F) {
	f.Add(manualValue)
	f.Add("v1:a:b:c:d")
	f.Add("v2::::")
	f.Add(strings.Repeat(":", 100))
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseValue(text)
		switch {
		case err == nil && v.String() != text:
			t.Errorf("%q is read as %q", text, v)
		case err != nil && len(text) > 12 && strings.Contains(err.Error(), text):
			t.Errorf("the text is in the error: %v", err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte(publicLine(unhex(f, knownPublic))))
	f.Add(readFile(f, keyFile(f)+".pub"))
	f.Add([]byte("# comment\n\nssh-rsa AAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePublicKey(data)
		if err != nil {
			return
		}
		seal(t, key, "ns", "x")
	})
}

func FuzzParsePrivateKeys(f *testing.F) {
	file := readFile(f, keyFile(f))
	f.Add(file)
	f.Add(append(file, file...))
	f.Add(readFile(f, keyFile(f, "-N", "hunter2")))
	f.Add(readFile(f, keyFile(f, "-t", "ecdsa")))
	f.Add(readFile(f, keyFile(f, "-t", "rsa", "-b", "2048", "-m", "PEM")))
	f.Fuzz(checkPrivateKeys)
}

// FuzzPrivateKeyBlock is the same behind the base64, where mutations matter.
func FuzzPrivateKeyBlock(f *testing.F) {
	for _, args := range [][]string{nil, {"-N", "hunter2"}, {"-t", "ecdsa"}} {
		block, _ := pem.Decode(readFile(f, keyFile(f, args...)))
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkPrivateKeys(t, pem.EncodeToMemory(&pem.Block{Type: opensshKey, Bytes: raw}))
	})
}

// checkPrivateKeys wants of each key that is accepted that it works.
func checkPrivateKeys(t *testing.T, data []byte) {
	keys, err := ParsePrivateKeys(data)
	if (err == nil) == (len(keys) == 0) {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if _, _, err := Decrypt(keys, seal(t, k.Public(), "ns", "x")); err != nil {
			t.Error(err)
		}
	}
}

func FuzzSealAndOpen(f *testing.F) {
	key := knownKey(f)
	f.Add("myapp", "the_secret")
	f.Add("", "")
	f.Add("a:b", "c")
	f.Add("", "\x00")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, namespace, secret string) {
		value, err := key.Public().Seal(namespace, NewSecret([]byte(secret)))
		if err != nil {
			return
		}
		got, err := Open([]*PrivateKey{key}, []string{namespace}, []string{value})
		if err != nil || string(got.Reveal()) != secret {
			t.Errorf("got %q, %v", got.Reveal(), err)
		}
	})
}
