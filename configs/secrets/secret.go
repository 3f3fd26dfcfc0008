package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxSecret is the longest secret in bytes: the kernel takes no environment
// variable above 128 KiB (MAX_ARG_STRLEN), and that is with its name, an equals
// sign and a NUL.
const MaxSecret = 128<<10 - len("X=\x00")

const redacted = "[secret]"

// Secret is a text that must not be shown: whatever formats or encodes it
// gets a placeholder. The zero value is the empty secret.
type Secret struct {
	// In an unexported field of others fmt can't call the methods of a Secret
	// and prints what is in it, through pointers as well; of a function it
	// prints the address.
	text func() *[]byte
}

// NewSecret keeps a copy of the text.
func NewSecret(text []byte) Secret {
	text = bytes.Clone(text)
	return Secret{func() *[]byte { return &text }}
}

// Reveal gives the secret itself, not a copy of it.
func (s Secret) Reveal() []byte {
	if s.text == nil {
		return nil
	}
	return *s.text()
}

// Wipe overwrites the secret in memory; it is empty then, in all copies of s.
func (s Secret) Wipe() {
	if s.text == nil {
		return
	}
	text := s.text()
	clear((*text)[:cap(*text)])
	*text = nil
}

// String gives the placeholder.
func (s Secret) String() string { return redacted }

// Format gives the placeholder, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText gives the placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON gives the placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// check holds what an environment variable can't take (requirement J5).
func (s Secret) check() error {
	text := s.Reveal()
	switch {
	case len(text) > MaxSecret:
		return fmt.Errorf("it has %d bytes, an environment variable takes at most %d", len(text), MaxSecret)
	case bytes.IndexByte(text, 0) >= 0:
		return errors.New("it has a NUL byte, which an environment variable can't have: encode it, by base64 for example")
	case !utf8.Valid(text):
		return errors.New("it is not UTF-8: encode it, by base64 for example")
	}
	return nil
}
