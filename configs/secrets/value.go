package secrets

import (
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/nacl/box"
)

// strict refuses text that is only nearly what [Value.String] makes: a payload
// has one spelling. Line breaks it takes nevertheless, see decode.
var strict = base64.StdEncoding.Strict()

// Hash is the short hash of the format: a blake2b of 6 bytes, `b2sum -l48`.
type Hash [6]byte

// ShortHash hashes a public key, a namespace or a secret.
func ShortHash(data []byte) Hash {
	var sum Hash
	h, err := blake2b.New(len(sum), nil)
	if err != nil {
		panic(err) // only for other sizes and long keys
	}
	h.Write(data)
	h.Sum(sum[:0])
	// It has a buffer with what may be a secret.
	h.Reset()
	h.Write(make([]byte, h.BlockSize()))
	return sum
}

// String gives the 8 characters that stand in a value.
func (h Hash) String() string { return strict.EncodeToString(h[:]) }

// Value is a sealed value, taken apart (requirement J4). Nothing in it is secret.
type Value struct {
	Key       Hash // of the public key
	Namespace Hash
	Secret    Hash
	box       []byte
}

// String gives the text that ParseValue reads.
func (v *Value) String() string {
	return strings.Join([]string{
		"v2", v.Key.String(), v.Namespace.String(), v.Secret.String(), strict.EncodeToString(v.box),
	}, ":")
}

// ParseValue takes a sealed value apart: `v2:KEY:NAMESPACE:SECRET:PAYLOAD`. Its
// errors have nothing of the text in them, which could be a password in the
// wrong place.
func ParseValue(text string) (*Value, error) {
	parts := strings.Split(text, ":")
	switch {
	case parts[0] == "v1" && len(parts) > 1:
		return nil, errors.New("it is of version 1, which is not supported any more: seal the secret again by lithos_crypt encrypt")
	case parts[0] != "v2":
		return nil, errors.New("it is not a sealed value, which begins with v2: lithos_crypt encrypt makes one")
	case len(parts) != 5:
		return nil, errors.New("it is not a whole sealed value: there must be five parts with colons between")
	}
	v := &Value{}
	for i, hash := range []*Hash{&v.Key, &v.Namespace, &v.Secret} {
		raw, ok := decode(parts[i+1])
		if !ok || len(raw) != len(hash) {
			return nil, errors.New("it is not a whole sealed value: the second, third and fourth part are hashes of 8 characters")
		}
		*hash = Hash(raw)
	}
	var ok bool
	if v.box, ok = decode(parts[4]); !ok {
		return nil, errors.New("its last part is not base64: a character is missing or changed")
	}
	if len(v.box) < box.AnonymousOverhead+len(":") {
		return nil, errors.New("its last part is too short, the end of it is missing")
	}
	return v, nil
}

func decode(text string) ([]byte, bool) {
	raw, err := strict.DecodeString(text)
	return raw, err == nil && !strings.ContainsAny(text, "\r\n")
}
