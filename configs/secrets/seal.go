package secrets

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/nacl/box"
)

// ValidNamespace tells whether a name is `^[a-zA-Z0-9_.-]*$`, which the empty one
// is (requirement J2).
func ValidNamespace(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && !('0' <= r && r <= '9') && r != '_' && r != '.' && r != '-'
	})
}

// Seal makes the text for secret-environ, another one at each call.
func (k *PublicKey) Seal(namespace string, secret Secret) (string, error) {
	if !ValidNamespace(namespace) {
		return "", fmt.Errorf("cannot seal the secret: %q is not a namespace, it may have letters, digits, `_`, `.` and `-`", namespace)
	}
	if err := secret.check(); err != nil {
		return "", fmt.Errorf("cannot seal the secret: %w", err)
	}
	plain := slices.Concat([]byte(namespace), []byte(":"), secret.Reveal())
	defer clear(plain)
	sealed, err := box.SealAnonymous(nil, plain, &k.curve, rand.Reader)
	if err != nil {
		return "", fmt.Errorf("cannot seal the secret: %w", err)
	}
	v := Value{k.hash, ShortHash([]byte(namespace)), ShortHash(secret.Reveal()), sealed}
	return v.String(), nil
}

// Open opens a variable of secret-environ. It tries each key with each value,
// the values in the inner loop, and gives what opens first and is sealed for
// one of the namespaces (requirement J6). If nothing does, the error tells it of
// each value.
func Open(keys []*PrivateKey, namespaces, values []string) (Secret, error) {
	allowed := func(namespace string) error {
		if slices.Contains(namespaces, namespace) {
			return nil
		}
		return fmt.Errorf("it is sealed for the namespace %q, allowed here: %s (secrets-namespaces of the sandbox, extra-secrets-namespaces of the process)",
			namespace, list(namespaces))
	}
	_, secret, err := open(keys, values, allowed)
	return secret, err
}

// Decrypt opens one value, whatever its namespace is, for who has the key and
// wants to look. A container gets its secrets by [Open].
func Decrypt(keys []*PrivateKey, value string) (namespace string, secret Secret, err error) {
	return open(keys, []string{value}, func(string) error { return nil })
}

func open(keys []*PrivateKey, values []string, allowed func(namespace string) error) (string, Secret, error) {
	switch {
	case len(keys) == 0:
		return "", Secret{}, errors.New("cannot open the secret: there is no key, set secrets-private-key in the sandbox config")
	case len(values) == 0:
		return "", Secret{}, errors.New("cannot open the secret: it has no value")
	}
	failed := make([]error, len(values))
	parsed := make([]*Value, len(values))
	for i, text := range values {
		parsed[i], failed[i] = ParseValue(text)
	}
	for _, key := range keys {
		for i, v := range parsed {
			if v == nil || v.Key != key.public.hash {
				continue
			}
			namespace, secret, err := key.open(v)
			if err == nil {
				if err = allowed(namespace); err == nil {
					return namespace, secret, nil
				}
				secret.Wipe()
			}
			failed[i] = err
		}
	}
	return "", Secret{}, notOpened(keys, parsed, failed)
}

// open opens one value and verifies all that it says of itself (requirement J5).
func (k *PrivateKey) open(v *Value) (namespace string, _ Secret, _ error) {
	plain, ok := box.OpenAnonymous(nil, v.box, &k.public.curve, k.scalar())
	if !ok {
		return "", Secret{}, errors.New("it is damaged: a character is missing or changed, or it was never sealed for this key")
	}
	defer clear(plain)
	before, after, ok := bytes.Cut(plain, []byte(":"))
	// Until the hash shows that it is the namespace, this may be a part of a
	// secret that something else has sealed.
	if !ok || ShortHash(before) != v.Namespace || !ValidNamespace(string(before)) {
		return "", Secret{}, errors.New("its namespace is not the one that its third part says: seal the secret again by lithos_crypt encrypt")
	}
	if ShortHash(after) != v.Secret {
		return "", Secret{}, errors.New("its secret is not the one that its fourth part says: seal the secret again by lithos_crypt encrypt")
	}
	secret := NewSecret(after)
	if err := secret.check(); err != nil {
		secret.Wipe()
		return "", Secret{}, fmt.Errorf("its content can't be a secret: %w", err)
	}
	return string(before), secret, nil
}

// notOpened puts together what is wrong with each value.
func notOpened(keys []*PrivateKey, values []*Value, failed []error) error {
	var hashes []string
	for _, k := range keys {
		if h := k.public.hash.String(); !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	texts := make([]string, len(failed))
	for i, err := range failed {
		if err == nil {
			err = fmt.Errorf("it is sealed for the key %s, the keys here are: %s", values[i].Key, strings.Join(hashes, ", "))
		}
		texts[i] = err.Error()
		if len(failed) > 1 {
			texts[i] = fmt.Sprintf("value %d: %s", i+1, texts[i])
		}
	}
	return fmt.Errorf("cannot open the secret: %s", strings.Join(texts, "; "))
}

// list quotes names, since one may be empty.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}
