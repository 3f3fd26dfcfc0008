package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// keyFile makes a key by the real ssh-keygen, and gives its path; that of the
// public key ends in .pub. More arguments may say another type or passphrase.
func keyFile(t testing.TB, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	args = append([]string{"-q", "-t", "ed25519", "-N", "", "-f", path}, args...)
	if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s(it is needed for this test: apt-get install openssh-client)", err, out)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// newKey is a key of ssh-keygen, parsed.
func newKey(t testing.TB) *PrivateKey {
	t.Helper()
	keys, err := ParsePrivateKeys(readFile(t, keyFile(t)))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	return keys[0]
}

// parts takes seed and public key out of a key file, in another way than the
// parser does: they are the only field of 64 bytes.
func parts(t testing.TB, file []byte) (seed, public []byte) {
	t.Helper()
	block, _ := pem.Decode(file)
	if block == nil {
		t.Fatal("no PEM block")
	}
	_, pair, ok := bytes.Cut(block.Bytes, []byte{0, 0, 0, 64})
	if !ok {
		t.Fatal("no field of 64 bytes")
	}
	return pair[:32], pair[32:64]
}

// edit gives a key file whose binary contents are changed.
func edit(t testing.TB, file []byte, change func([]byte) []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(file)
	block.Bytes = change(block.Bytes)
	return pem.EncodeToMemory(block)
}

func seal(t testing.TB, key *PublicKey, namespace, secret string) string {
	t.Helper()
	value, err := key.Seal(namespace, NewSecret([]byte(secret)))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// handmade seals any text with any hashes, as lithos_crypt never would.
func handmade(t testing.TB, key *PublicKey, namespace, secret, plain string) string {
	t.Helper()
	v := Value{key.hash, ShortHash([]byte(namespace)), ShortHash([]byte(secret)), sealBox(t, key, plain)}
	return v.String()
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want …%s…", err, want)
	}
}

// knownSeed and knownPublic are a pair that the original's tests use too.
const (
	knownSeed   = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
	knownPublic = "d0a4cec0f8b50ba1e936ec5615454aa97dfb27864f5f17608af2cbb10548f1b3"
)

func knownKey(t testing.TB) *PrivateKey {
	t.Helper()
	key, err := newPrivateKey(unhex(t, knownSeed), unhex(t, knownPublic))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func publicLine(raw []byte) string {
	blob := append([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"), raw...)
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob) + " somebody"
}
