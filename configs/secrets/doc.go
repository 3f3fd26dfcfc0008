// Package secrets seals and opens the values of secret-environ, and reads the
// keys for it: OpenSSH's ed25519 keys, as `ssh-keygen` writes them (manual
// 8.3.1).
//
// A sealed value is one line of text, safe to publish:
//
//	v2:ROit92I5:KqWSX0BY:8MtOoWUX:nHcVCIWZG2hivi0r…BM7Q==
//	│  │        │        │        └ base64 of the sealed box of NAMESPACE:SECRET
//	│  │        │        └ hash of the secret
//	│  │        └ hash of the namespace
//	│  └ hash of the ed25519 public key, its 32 bytes
//	└ version; there is no other
//
// A hash is the base64 of a blake2b of 6 bytes. The box is libsodium's
// crypto_box_seal for the X25519 form of the key: the ephemeral public key,
// then a curve25519xsalsa20poly1305 box whose nonce is the blake2b, of 24
// bytes, of both public keys.
//
// Scope: this format, the keys and the rules of access. Out of scope: the secrets
// of a container, and the time of their decryption. The package is a leaf: it
// imports no other package of lithos.
//
// # Nothing leaks by accident
//
// A [Secret] and a [PrivateKey] print as a placeholder in each format. No error
// quotes a secret, a private key, or a text in place of a sealed value, because
// people paste passwords there. Both can be wiped, which reaches our copies, not
// those of crypto/ecdh.
//
// # Choices where the manual is silent
//
//   - A file of private keys is refused as a whole if one key in it can't be
//     used: a secret which opens on one host and not on the next is worse.
//     Between the keys only blank lines and lines that begin with # may stand.
//   - Only OpenSSH's own format is read. golang.org/x/crypto/ssh would read it
//     too; it adds 1.7 MB to a program, network code, and copies of the key
//     that can't be wiped.
//   - The owner and mode of a key file are those of the file that was opened,
//     at the end of all links, so that nothing can be swapped in between. A
//     link is no reason to refuse it: deployments put keys behind links.
//   - A public key must be a point of the curve and of large order, as in
//     libsodium: anyone could open what is sealed for another one.
//   - A secret is at most [MaxSecret] bytes, as long as the kernel accepts in
//     one environment variable. An empty one is possible.
package secrets
