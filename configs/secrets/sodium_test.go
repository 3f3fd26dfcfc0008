package secrets

import (
	"bytes"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sodium compiles the program that does the same with libsodium.
func sodium(t *testing.T) func(stdin []byte, args ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sodium")
	if out, err := exec.Command("gcc", "-Wall", "-Werror", "-o", program, "testdata/sodium/main.c", "-lsodium").CombinedOutput(); err != nil {
		t.Fatalf("cannot compile a program with libsodium: %v\n%s(apt-get install gcc libc6-dev libsodium-dev)", err, out)
	}
	return func(stdin []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("libsodium, %s: %v", args[0], err)
		}
		return out
	}
}

// Covers: J4, J5
func TestSameAsLibsodium(t *testing.T) {
	run := sodium(t)
	file := keyFile(t)
	seed, public := parts(t, readFile(t, file))
	keys, err := ParsePrivateKeys(readFile(t, file))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParsePublicKey(readFile(t, file+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(nil, "public", hex.EncodeToString(seed)); !bytes.Equal(got, public) {
		t.Errorf("the seed in the file is not that of the public key: %x, %x", got, public)
	}
	for _, secret := range []string{"the_secret", "", "x\ny", "пароль", strings.Repeat("long ", 20000)} {
		plain := "myapp:" + secret
		if got := run([]byte(secret), "hash"); string(got) != string(hashOf(secret)) {
			t.Errorf("hash: got %x, libsodium %x", hashOf(secret), got)
		}

		v, err := ParseValue(seal(t, key, "myapp", secret))
		if err != nil {
			t.Fatal(err)
		}
		if got := run(v.box, "open", hex.EncodeToString(seed)); string(got) != plain {
			t.Errorf("libsodium opens our box as %.40q", got)
		}

		theirs := Value{key.Hash(), ShortHash([]byte("myapp")), ShortHash([]byte(secret)), run([]byte(plain), "seal", hex.EncodeToString(public))}
		got, err := Open(keys, []string{"myapp"}, []string{theirs.String()})
		if err != nil || string(got.Reveal()) != secret {
			t.Errorf("we open libsodium's box as %.40q, %v", got.Reveal(), err)
		}
	}
}

func hashOf(text string) []byte {
	h := ShortHash([]byte(text))
	return h[:]
}
