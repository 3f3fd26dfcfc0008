package secrets

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

// Covers: J1
func TestKeysOfSSHKeygen(t *testing.T) {
	for _, comment := range []string{"", "x", "12345", "somebody@somewhere", strings.Repeat("c", 200)} {
		file := keyFile(t, "-C", comment)
		private, err := ParsePrivateKeys(readFile(t, file))
		if err != nil || len(private) != 1 {
			t.Fatalf("comment %q: %d keys, %v", comment, len(private), err)
		}
		public, err := ParsePublicKey(readFile(t, file+".pub"))
		if err != nil {
			t.Fatalf("comment %q: %v", comment, err)
		}
		if *private[0].Public() != *public {
			t.Errorf("comment %q: the halves are of different keys", comment)
		}
	}
}

// The original's own pair of an ed25519 seed and its public key.
//
// Covers: J5
func TestKnownKeyPair(t *testing.T) {
	key := knownKey(t)
	public, err := ParsePublicKey([]byte(publicLine(unhex(t, knownPublic))))
	if err != nil || *public != *key.Public() {
		t.Errorf("got %v, %v, want %v", public, err, key.Public())
	}
}

// Covers: J1
func TestSeveralKeysInOneFile(t *testing.T) {
	a, b, c := readFile(t, keyFile(t)), readFile(t, keyFile(t)), readFile(t, keyFile(t))
	_, rawA := parts(t, a)
	_, rawC := parts(t, c)
	for _, tt := range []struct {
		name string
		file []byte
	}{
		{"concatenated", bytes.Join([][]byte{a, b, c}, nil)},
		{"comments and blank lines", bytes.Join([][]byte{[]byte("# old\n\n"), a, []byte("\n  # new\n"), b, c, []byte("\n\n")}, nil)},
		{"Windows' line ends", bytes.ReplaceAll(bytes.Join([][]byte{a, b, c}, nil), []byte("\n"), []byte("\r\n"))},
		{"no line end at the end", bytes.TrimSpace(bytes.Join([][]byte{a, b, c}, nil))},
		{"one long line each", bytes.Join([][]byte{oneLine(a), oneLine(b), oneLine(c)}, nil)},
	} {
		t.Run("J1 "+tt.name, func(t *testing.T) {
			keys, err := ParsePrivateKeys(tt.file)
			if err != nil || len(keys) != 3 {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			if keys[0].Public().Hash() != ShortHash(rawA) || keys[2].Public().Hash() != ShortHash(rawC) {
				t.Error("they are not in the order of the file")
			}
			for i, k := range keys {
				if _, err := Open(keys, []string{""}, []string{seal(t, k.Public(), "", "x")}); err != nil {
					t.Errorf("key %d: %v", i+1, err)
				}
			}
		})
	}
}

func oneLine(key []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(key), []byte("\n"))
	return bytes.Join([][]byte{lines[0], bytes.Join(lines[1:len(lines)-1], nil), lines[len(lines)-1], nil}, []byte("\n"))
}

// Covers: J1
func TestUnusableKeysAreRefused(t *testing.T) {
	good := readFile(t, keyFile(t))
	other := readFile(t, keyFile(t))
	seed, public := parts(t, good)
	_, otherPublic := parts(t, other)
	replace := func(old, new []byte, n int) []byte {
		return edit(t, good, func(raw []byte) []byte {
			if !bytes.Contains(raw, old) {
				t.Fatalf("there is no %q", old)
			}
			return bytes.Replace(raw, old, new, n)
		})
	}
	join := func(files ...[]byte) []byte { return bytes.Join(files, nil) }
	const make = `only ed25519 keys are supported: make one by ssh-keygen -t ed25519 -N "" -f FILE`
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"RSA", readFile(t, keyFile(t, "-t", "rsa", "-b", "2048")), `key 1 (line 1): it is a key of type "ssh-rsa", ` + make},
		{"RSA in PEM", readFile(t, keyFile(t, "-t", "rsa", "-b", "2048", "-m", "PEM")), `it is a key of type RSA, ` + make},
		{"RSA in PKCS8", readFile(t, keyFile(t, "-t", "rsa", "-b", "2048", "-m", "PKCS8")), `convert it by ssh-keygen -p -N "" -f FILE`},
		{"ECDSA", readFile(t, keyFile(t, "-t", "ecdsa")), `it is a key of type "ecdsa-sha2-nistp256", ` + make},
		{"ECDSA in PEM", readFile(t, keyFile(t, "-t", "ecdsa", "-m", "PEM")), `it is a key of type EC, ` + make},
		{"passphrase", readFile(t, keyFile(t, "-N", "hunter2")), `it has a passphrase, which nobody is there to type: take it off by ssh-keygen -p -N "" -f FILE`},
		{"RSA after a good one", join(good, readFile(t, keyFile(t, "-t", "rsa", "-b", "2048"))), "key 2 (line 8): it is a key of type"},
		{"passphrase after a good one", join(good, readFile(t, keyFile(t, "-N", "hunter2"))), "key 2 (line 8): it has a passphrase"},
		{"public key", []byte(publicLine(public)), "line 1 is a public key: give the private one, in the file without .pub"},
		{"PuTTY", []byte("PuTTY-User-Key-File-3: ssh-ed25519\n"), "export it as an OpenSSH key"},
		{"certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "it is not a private key of OpenSSH"},
		{"empty", nil, "there is no key in it"},
		{"only comments", []byte("# key\n\n"), "there is no key in it"},
		{"text before", join([]byte("key:\n"), good), "line 1 belongs to no key"},
		{"text after", join(good, []byte("key:\n")), "line 8 belongs to no key"},
		{"no begin", join(good, good[bytes.IndexByte(good, '\n')+1:]), "line 8 belongs to no key"},
		{"no end", good[:len(good)-40], "key 1 (line 1): its end is missing"},
		{"no end between two", join(good[:bytes.Index(good, []byte("-----END"))], other), "key 1 (line 1): its end is missing"},
		{"not base64", bytes.Replace(good, []byte("b3BlbnNz"), []byte("b3B*bnNz"), 1), "its text is not that of a key"},
		{"nothing inside", []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n"), "its text is not that of a key"},
		{"other version", replace([]byte("key-v1"), []byte("key-v2"), 1), "its text is not that of a key"},
		{"cut", edit(t, good, func(raw []byte) []byte { return raw[:len(raw)-9] }), "a part of it is missing"},
		{"longer", edit(t, good, func(raw []byte) []byte { return append(raw, 1) }), "something follows its end"},
		{"huge length", edit(t, good, func(raw []byte) []byte { raw[len(keyMagic)] = 0xff; return raw }), "a part of it is missing"},
		{"two keys in one block", replace([]byte("\x00\x00\x00\x01\x00\x00\x00\x33"), []byte("\x00\x00\x00\x02\x00\x00\x00\x33"), 1), "it has 2 keys in one block"},
		{"no keys in the block", replace([]byte("\x00\x00\x00\x01\x00\x00\x00\x33"), []byte("\x00\x00\x00\x00\x00\x00\x00\x33"), 1), "it has 0 keys in one block"},
		{"other public half", replace(public, otherPublic, 1), "don't belong together"},
		{"other public half everywhere", replace(public, otherPublic, -1), "don't belong together"},
		{"other public half behind the private one", edit(t, good, func(raw []byte) []byte { raw[bytes.LastIndex(raw, public)] ^= 1; return raw }), "don't belong together"},
		{"other public half in the middle", edit(t, good, func(raw []byte) []byte {
			raw[bytes.LastIndex(raw[:bytes.LastIndex(raw, public)], public)] ^= 1
			return raw
		}), "don't belong together"},
		{"unknown cipher", replace([]byte("\x00\x00\x00\x04none\x00\x00\x00\x04none"), []byte("\x00\x00\x00\x04rot9\x00\x00\x00\x04none"), 1), "it has a passphrase"},
		{"other private half", replace(seed, otherPublic, 1), "don't belong together"},
		{"check numbers differ", edit(t, good, func(raw []byte) []byte { raw[bytes.LastIndex(raw, []byte(keyType))-5] ^= 1; return raw }), "its private half is no key"},
		{"padding", edit(t, good, func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }), "its private half is no key"},
		{"other type inside", edit(t, good, func(raw []byte) []byte { raw[bytes.LastIndex(raw, []byte(keyType))] ^= 1; return raw }), "its private half is no key"},
	} {
		t.Run("J1 "+tt.name, func(t *testing.T) {
			keys, err := ParsePrivateKeys(tt.file)
			wantError(t, err, tt.want)
			if keys != nil {
				t.Errorf("%d keys came out", len(keys))
			}
			if err != nil && (strings.Contains(err.Error(), string(seed)) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(seed)[:8])) {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
}

// Covers: J1
func TestPublicKeysAreParsed(t *testing.T) {
	raw := unhex(t, knownPublic)
	line := publicLine(raw)
	for _, tt := range []struct{ name, file, want string }{
		{"line", line, ""},
		{"no comment", strings.TrimSuffix(line, " somebody") + "\n", ""},
		{"long comment", line + " with  more words\r\n", ""},
		{"comments before", "# ours\n\n" + line + "\n", ""},
		{"several, the first counts", line + "\nssh-rsa AAAA\n", ""},
		{"blanks before", "  \t" + line, ""},

		{"empty", "", "there is no key in it"},
		{"only comments", "# x\n", "there is no key in it"},
		{"RSA", string(readFile(t, keyFile(t, "-t", "rsa", "-b", "2048")+".pub")), `it is a key of type "ssh-rsa", only ed25519`},
		{"ECDSA", string(readFile(t, keyFile(t, "-t", "ecdsa")+".pub")), `it is a key of type "ecdsa-sha2-nistp256", only ed25519`},
		{"security key", "sk-ssh-ed25519@openssh.com AAAA x", "only ed25519"},
		{"private", string(readFile(t, keyFile(t))), "it is a private key, which only the servers need"},
		{"RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----\n", "convert it by ssh-keygen -i -f FILE"},
		{"a path", "/etc/lithos/keys/main.key.pub", "it is not a public key of OpenSSH"},
		{"no key", "ssh-ed25519", "it is not a public key of OpenSSH"},
		{"not base64", "ssh-ed25519 *", "not base64"},
		{"cut", line[:40], "no key of this type"},
		{"other type inside", "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25518\x00\x00\x00\x20"+string(raw))), "no key of this type"},
		{"short", "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x1f"+string(raw[1:]))), "no key of this type"},
		{"something after it", "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"+string(raw)+"\x00")), "no key of this type"},
		{"no point of the curve", publicLine(append([]byte{2}, make([]byte, 31)...)), "no point of the curve"},
		{"not reduced", publicLine(append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), "no point of the curve"},
		{"neutral element", publicLine(append([]byte{1}, make([]byte, 31)...)), "anyone could open"},
		{"order 4", publicLine(make([]byte, 32)), "anyone could open"},
	} {
		t.Run("J1 "+tt.name, func(t *testing.T) {
			key, err := ParsePublicKey([]byte(tt.file))
			switch {
			case tt.want != "":
				wantError(t, err, tt.want)
			case err != nil || key.Hash() != ShortHash(raw):
				t.Errorf("got %v, %v", key, err)
			}
		})
	}
}

// The parser's own memory can be wiped; the data belong to the caller.
//
// Covers: J1
func TestKeysDoNotShareTheFilesMemory(t *testing.T) {
	file := readFile(t, keyFile(t))
	keys, err := ParsePrivateKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	clear(file)
	if _, _, err := Decrypt(keys, seal(t, keys[0].Public(), "", "x")); err != nil {
		t.Error(err)
	}
}

// Covers: J5
func TestManyKeysInOneFile(t *testing.T) {
	for range 200 {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		key, err := newPrivateKey(private.Seed(), public)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Decrypt([]*PrivateKey{key}, seal(t, key.Public(), "ns", "x")); err != nil {
			t.Fatalf("seed %x: %v", private.Seed(), err)
		}
	}
}
