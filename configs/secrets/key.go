package secrets

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"filippo.io/edwards25519"
)

// PublicKey is what secrets are sealed for.
type PublicKey struct {
	hash  Hash
	curve [32]byte // the X25519 form
}

// Hash is the short hash by which values name their key: that of the ed25519
// public key, not of its X25519 form.
func (k *PublicKey) Hash() Hash { return k.hash }

// newPublicKey converts an ed25519 public key, by the map from the Edwards to
// the Montgomery curve (RFC 7748, 4.1).
func newPublicKey(raw []byte) (*PublicKey, error) {
	p, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil || string(p.Bytes()) != string(raw) {
		return nil, errors.New("it is damaged: it is no point of the curve")
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errors.New("it is no real key: anyone could open what is sealed for it")
	}
	return &PublicKey{ShortHash(raw), [32]byte(p.BytesMontgomery())}, nil
}

// PrivateKey opens values that were sealed for its public key. It prints as a
// placeholder with the public key's hash.
type PrivateKey struct {
	public *PublicKey
	scalar func() *[32]byte // a function, so that fmt can't get at it: see Secret
}

// newPrivateKey makes the key of an ed25519 seed, which must belong to the
// public key beside it.
func newPrivateKey(seed, public []byte) (*PrivateKey, error) {
	full := ed25519.NewKeyFromSeed(seed)
	defer clear(full)
	if string(full[len(seed):]) != string(public) {
		return nil, errors.New("it is damaged: its private and its public half don't belong together")
	}
	k, err := newPublicKey(public)
	if err != nil {
		return nil, err
	}
	// The first half of this hash is the scalar that both curves multiply by
	// (RFC 8032, 5.1.5). X25519 clears and sets its bits itself.
	sum := sha512.Sum512(seed)
	defer clear(sum[:])
	scalar := [32]byte(sum[:32])
	return &PrivateKey{k, func() *[32]byte { return &scalar }}, nil
}

// Public gives the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Wipe overwrites the key in memory. It opens nothing any more.
func (k *PrivateKey) Wipe() { clear(k.scalar()[:]) }

// String gives the placeholder.
func (k PrivateKey) String() string { return "[private key " + k.public.hash.String() + "]" }

// Format gives the placeholder, for every verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText gives the placeholder.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
