package main

const help = `Usage: lithos_crypt encrypt -k KEY.pub [-n NAMESPACE] [-d SECRET]
       lithos_crypt decrypt -i KEY [-d VALUE]
       lithos_crypt check-key -k KEY.pub [-d VALUE]

Seals secrets such as passwords for secret-environ of a container config, which
may be published. Only the servers, which have the private key, can open them.

Commands:
  encrypt     seal a secret with the public key
  decrypt     open a sealed value with the private key
  check-key   check whether a value is sealed for a key: see the exit code

  lithos_crypt COMMAND --help     options and examples of a command
  lithos_crypt --version          print the version

From the key to the container:
  # once, on the server; give main.key.pub to everyone
  ssh-keygen -t ed25519 -N "" -f /etc/lithos/keys/main.key

  # in /etc/lithos/sandboxes/NAME.yaml
  secrets-private-key: /etc/lithos/keys/main.key
  secrets-namespaces: [myapp]

  # anywhere, for each secret
  lithos_crypt encrypt -k main.key.pub -n myapp <password.txt

  # in the container config
  secret-environ:
    DATABASE_PASSWORD: v2:ROit92I5:KqWSX0BY:8MtOoWUX:nHcVCIWZG2hi...

Exit codes: 0 done, 1 it failed or the key is another one, 2 wrong command line.
`

const encryptHelp = `Usage: lithos_crypt encrypt -k KEY.pub [-n NAMESPACE] [-d SECRET | --data-file FILE]

Prints the sealed secret, one line for secret-environ, which differs at each
call. The secret is read from standard input unless an option gives it.

Options:
  -k, --key-file FILE      public key: ssh-ed25519 AAAA...; the first in the file
  -n, --namespace NAME     who may open it: sandboxes that list NAME in
                           secrets-namespaces, processes that list it in
                           extra-secrets-namespaces. Letters, digits, _ . and -;
                           the default is the empty name, which sandboxes have by
                           default, too
      --data-file FILE     file with the secret, - for standard input
      --keep-newline       keep the newline at the end of the file or input. By
                           default it is removed, because echo and editors add it
  -d, --data SECRET        the secret itself. Everyone on this machine can see it in
                           ps, and the shell writes it into its history

Examples:
  pass show db/production | lithos_crypt encrypt -k main.key.pub -n myapp
  lithos_crypt encrypt -k main.key.pub -n myapp --data-file password.txt
  lithos_crypt encrypt -k main.key.pub --keep-newline --data-file tls.pem
  read -rs S; printf %s "$S" | lithos_crypt encrypt -k main.key.pub
`

const decryptHelp = `Usage: lithos_crypt decrypt -i KEY [-d VALUE | --data-file FILE]

Opens a sealed value. The secret alone goes to standard output, without a
newline; its namespace and a colon go to standard error before it. The value is
read from standard input unless an option gives it.

Options:
  -i, --key-file FILE      private key, or several one after the other; without a
                           passphrase
  -d, --data VALUE         the sealed value: v2:...
      --data-file FILE     file with it, - for standard input

Examples:
  lithos_crypt decrypt -i main.key -d v2:ROit92I5:KqWSX0BY:8MtOoWUX:nHcVCIW...
  lithos_crypt decrypt -i main.key <value.txt 2>/dev/null >secret.txt
`

const checkKeyHelp = `Usage: lithos_crypt check-key -k KEY.pub [-d VALUE | --data-file FILE]

Checks whether a value is sealed for a key, by the hash in it, without a private
key. The exit code is 1 if it is not; otherwise nothing is printed. The value is
read from standard input unless an option gives it.

Options:
  -k, --key-file FILE      public key: ssh-ed25519 AAAA...; the first in the file
  -d, --data VALUE         the sealed value: v2:...
      --data-file FILE     file with it, - for standard input

Example:
  lithos_crypt check-key -k main.key.pub -d "$VALUE" || echo "seal it again"
`
