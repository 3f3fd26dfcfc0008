/* What lithos' sealed values are compared with: the same steps, done by
 * libsodium. Reads standard input, writes standard output; the exit status is
 * 1 if libsodium refuses.
 *
 *   seal PUBLIC   a sealed box for an ed25519 public key (64 hex digits)
 *   open SEED     what is in one, by the private key of a seed
 *   public SEED   the ed25519 public key of a seed
 *   hash          a blake2b of 6 bytes
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static unsigned char in[1 << 20], out[1 << 20];

int main(int argc, char **argv)
{
	unsigned char arg[32], ed_pk[32], ed_sk[64], pk[32], sk[32];
	const char *cmd = argc > 1 ? argv[1] : "";
	size_t in_len = fread(in, 1, sizeof in - 1024, stdin), out_len = 0, n = 0;

	if (sodium_init() < 0)
		return 1;
	if (argc > 2 && (sodium_hex2bin(arg, sizeof arg, argv[2], strlen(argv[2]), NULL, &n, NULL) != 0 || n != sizeof arg))
		return 1;
	if (strcmp(cmd, "hash") == 0 && argc == 2) {
		/* crypto_generichash has 16 bytes at least, the function below it any number. */
		out_len = 6;
		if (crypto_generichash_blake2b(out, out_len, in, in_len, NULL, 0) != 0)
			return 1;
	} else if (argc != 3) {
		return 1;
	} else if (strcmp(cmd, "seal") == 0) {
		out_len = in_len + crypto_box_SEALBYTES;
		if (crypto_sign_ed25519_pk_to_curve25519(pk, arg) != 0 || crypto_box_seal(out, in, in_len, pk) != 0)
			return 1;
	} else {
		if (crypto_sign_seed_keypair(ed_pk, ed_sk, arg) != 0 ||
		    crypto_sign_ed25519_pk_to_curve25519(pk, ed_pk) != 0 ||
		    crypto_sign_ed25519_sk_to_curve25519(sk, ed_sk) != 0)
			return 1;
		if (strcmp(cmd, "public") == 0) {
			out_len = sizeof ed_pk;
			memcpy(out, ed_pk, out_len);
		} else if (strcmp(cmd, "open") == 0 && in_len >= crypto_box_SEALBYTES) {
			out_len = in_len - crypto_box_SEALBYTES;
			if (crypto_box_seal_open(out, in, in_len, pk, sk) != 0)
				return 1;
		} else {
			return 1;
		}
	}
	return fwrite(out, 1, out_len, stdout) == out_len ? 0 : 1;
}
