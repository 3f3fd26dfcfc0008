package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	keyType    = "ssh-ed25519"
	keyMagic   = "openssh-key-v1\x00"
	howToMake  = `only ed25519 keys are supported: make one by ssh-keygen -t ed25519 -N "" -f FILE`
	beginKey   = "-----BEGIN "
	endKey     = "-----END "
	dashes     = "-----"
	opensshKey = "OPENSSH PRIVATE KEY"
)

// ParsePublicKey reads the first key of a .pub file: a line
// `ssh-ed25519 AAAA… comment`. Blank lines and lines that begin with # may stand
// before it; what comes after it is not looked at.
func ParsePublicKey(data []byte) (*PublicKey, error) {
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		return parsePublicLine(line, fields)
	}
	return nil, errors.New("there is no key in it")
}

func parsePublicLine(line string, fields []string) (*PublicKey, error) {
	switch {
	case strings.HasPrefix(line, beginKey):
		return nil, errors.New("it is a private key, which only the servers need: give the public one, in the file beside it that ends in .pub")
	case strings.HasPrefix(line, "---- BEGIN SSH2 "):
		return nil, errors.New("it is a key of another program than OpenSSH: convert it by ssh-keygen -i -f FILE")
	case fields[0] != keyType && (strings.HasPrefix(fields[0], "ssh-") || strings.HasPrefix(fields[0], "ecdsa-") || strings.HasPrefix(fields[0], "sk-")):
		return nil, fmt.Errorf("it is a key of type %q, %s", clip(fields[0]), howToMake)
	case fields[0] != keyType || len(fields) < 2:
		return nil, errors.New("it is not a public key of OpenSSH, which is a line that begins with ssh-ed25519 AAAA")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return nil, errors.New("it is damaged: the part after ssh-ed25519 is not base64")
	}
	raw, ok := publicBlob(blob)
	if !ok {
		return nil, errors.New("it is damaged: the part after ssh-ed25519 is no key of this type, or a part of it is missing")
	}
	return newPublicKey(raw)
}

// clip keeps a damaged file out of the message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// publicBlob takes the key out of a public key in the form of the protocol
// (RFC 8709, 4).
func publicBlob(blob []byte) (key []byte, ok bool) {
	r := reader{rest: blob}
	name, key := r.field(), r.field()
	return key, !r.failed && len(r.rest) == 0 && string(name) == keyType && len(key) == 32
}

// ParsePrivateKeys reads one or more private keys of OpenSSH, one after the
// other (requirement J1). One that can't be used makes all of them an error.
// Data may be overwritten afterwards.
func ParsePrivateKeys(data []byte) ([]*PrivateKey, error) {
	var keys []*PrivateKey
	fail := func(err error) ([]*PrivateKey, error) {
		for _, k := range keys {
			k.Wipe()
		}
		return nil, err
	}
	line, begin := 0, 0 // begin: where the key began, 0 = outside of keys
	var body []byte     // base64 of that key
	defer func() { clear(body) }()
	for text := range bytes.Lines(data) {
		line++
		text = bytes.TrimSpace(text)
		switch {
		case begin > 0 && bytes.HasPrefix(text, []byte(endKey)):
			key, err := parsePrivateKey(body)
			if err != nil {
				return fail(fmt.Errorf("key %d (line %d): %w", len(keys)+1, begin, err))
			}
			keys = append(keys, key)
			clear(body)
			begin, body = 0, body[:0]
		case begin > 0 && bytes.HasPrefix(text, []byte(dashes)):
			return fail(fmt.Errorf("key %d (line %d): its end is missing", len(keys)+1, begin))
		case begin > 0:
			if body == nil {
				body = make([]byte, 0, len(data)) // grown, it would leave copies
			}
			body = append(body, text...)
		case bytes.HasPrefix(text, []byte(beginKey)):
			if err := checkLabel(string(text)); err != nil {
				return fail(fmt.Errorf("key %d (line %d): %w", len(keys)+1, line, err))
			}
			begin = line
		case len(text) > 0 && text[0] != '#':
			return fail(outside(line, string(text[:min(len(text), 30)])))
		}
	}
	switch {
	case begin > 0:
		return fail(fmt.Errorf("key %d (line %d): its end is missing", len(keys)+1, begin))
	case len(keys) == 0:
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}

// outside tells why a line between keys is wrong, without showing it.
func outside(line int, text string) error {
	switch {
	case strings.HasPrefix(text, "ssh-"), strings.HasPrefix(text, "ecdsa-"), strings.HasPrefix(text, "sk-"):
		return fmt.Errorf("line %d is a public key: give the private one, in the file without .pub", line)
	case strings.HasPrefix(text, "PuTTY-User-Key-File"):
		return fmt.Errorf("line %d begins a key of PuTTY: export it as an OpenSSH key by puttygen", line)
	}
	return fmt.Errorf("line %d belongs to no key: a key begins with %s%s%s", line, beginKey, opensshKey, dashes)
}

// checkLabel looks at the first line of a key.
func checkLabel(text string) error {
	switch label := strings.TrimSuffix(strings.TrimPrefix(text, beginKey), dashes); label {
	case opensshKey:
		return nil
	case "RSA PRIVATE KEY", "DSA PRIVATE KEY", "EC PRIVATE KEY":
		kind, _, _ := strings.Cut(label, " ")
		return fmt.Errorf("it is a key of type %s, %s", kind, howToMake)
	case "PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return errors.New(`it is not in OpenSSH's format: convert it by ssh-keygen -p -N "" -f FILE`)
	}
	return fmt.Errorf("it is not a private key of OpenSSH, which begins with %s%s%s", beginKey, opensshKey, dashes)
}

// parsePrivateKey reads the base64 of one key (OpenSSH's PROTOCOL.key).
func parsePrivateKey(body []byte) (*PrivateKey, error) {
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	defer clear(raw)
	n, err := base64.StdEncoding.Decode(raw, body)
	rest, ok := bytes.CutPrefix(raw[:n], []byte(keyMagic))
	if err != nil || !ok {
		return nil, errors.New("it is damaged: its text is not that of a key")
	}
	r := reader{rest: rest}
	cipher, kdf, options := r.field(), r.field(), r.field()
	count := r.number()
	public, private := r.field(), r.field()
	// The types of a key are in clear in front, the passphrase protects the rest.
	kind := (&reader{rest: public}).field()
	switch {
	case r.failed:
		return nil, errors.New("it is damaged: a part of it is missing")
	case count != 1:
		return nil, fmt.Errorf("it has %d keys in one block, ssh-keygen writes one: put them one after the other", count)
	case string(kind) != keyType:
		return nil, fmt.Errorf("it is a key of type %q, %s", clip(string(kind)), howToMake)
	case string(cipher) != "none" || string(kdf) != "none" || len(options) != 0:
		return nil, errors.New(`it has a passphrase, which nobody is there to type: take it off by ssh-keygen -p -N "" -f FILE`)
	case len(r.rest) != 0:
		return nil, errors.New("it is damaged: something follows its end")
	}
	outer, ok := publicBlob(public)
	if !ok {
		return nil, errors.New("it is damaged: its public half is no key")
	}
	return parseEd25519(outer, private)
}

// parseEd25519 reads the private part of a key: two equal numbers, the type, the
// public key, seed and public key, a comment, and the bytes 1, 2, 3… up to a
// multiple of the cipher's block, which is 8 without a cipher.
func parseEd25519(outer, private []byte) (*PrivateKey, error) {
	r := reader{rest: private}
	a, b := r.number(), r.number()
	kind, inner, pair := r.field(), r.field(), r.field()
	r.field() // the comment
	if r.failed || a != b || string(kind) != keyType || len(pair) != 64 || len(r.rest) >= 8 {
		return nil, errors.New("it is damaged: its private half is no key")
	}
	for i, pad := range r.rest {
		if int(pad) != i+1 {
			return nil, errors.New("it is damaged: its private half is no key")
		}
	}
	if !bytes.Equal(outer, inner) || !bytes.Equal(outer, pair[32:]) {
		return nil, errors.New("it is damaged: its private and its public half don't belong together")
	}
	return newPrivateKey(pair[:32], outer)
}

// reader takes the fields of SSH's encoding off, which have their length in
// front (RFC 4251, 5). A field that is not there is empty and sets failed.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) number() uint32 {
	if len(r.rest) < 4 {
		r.failed, r.rest = true, nil
		return 0
	}
	n := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return n
}

func (r *reader) field() []byte {
	n := r.number()
	if uint64(n) > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}
