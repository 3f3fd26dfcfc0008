package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"lithos/configs/secrets"
)

// encrypt prints a sealed secret.
func encrypt(o *options, stdin *os.File, stdout, _ io.Writer) error {
	if !secrets.ValidNamespace(o.namespace) {
		return usageError(fmt.Sprintf("%q is not a namespace: it may have letters, digits, _ . and -", o.namespace))
	}
	key, err := publicKey(o.keyFile)
	if err != nil {
		return err
	}
	data, err := o.readData("secret", stdin)
	if err != nil {
		return err
	}
	if !o.given["--data"] {
		if !o.keepNewline {
			data = dropNewline(data)
		}
		// A failed write into a pipe or a file leaves it empty.
		if len(data) == 0 {
			return errors.New(`the secret is empty: if it is meant to be, give it by --data ""`)
		}
	}
	value, err := key.Seal(o.namespace, secrets.NewSecret(data))
	if err != nil {
		return err
	}
	return write(stdout, value+"\n")
}

// decrypt prints the secret on standard output and, as the original does, what
// stands around it on a terminal on standard error.
func decrypt(o *options, stdin *os.File, stdout, stderr io.Writer) error {
	data, err := readFile(o.keyFile)
	if err != nil {
		return fmt.Errorf("cannot read the private key: %w", err)
	}
	keys, err := secrets.ParsePrivateKeys(data)
	if err != nil {
		return fmt.Errorf("cannot use the private key %s: %w", o.keyFile, err)
	}
	value, err := o.readValue(stdin)
	if err != nil {
		return err
	}
	namespace, secret, err := secrets.Decrypt(keys, value)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%s:", namespace)
	if err := write(stdout, string(secret.Reveal())); err != nil {
		return err
	}
	fmt.Fprintln(stderr)
	return nil
}

// checkKey compares the hash of a key with that in a value.
func checkKey(o *options, stdin *os.File, _, _ io.Writer) error {
	key, err := publicKey(o.keyFile)
	if err != nil {
		return err
	}
	text, err := o.readValue(stdin)
	if err != nil {
		return err
	}
	value, err := secrets.ParseValue(text)
	if err != nil {
		return fmt.Errorf("cannot check the value: %w", err)
	}
	if value.Key != key.Hash() {
		return fmt.Errorf("the value is sealed for the key %s, %s is %s", value.Key, o.keyFile, key.Hash())
	}
	return nil
}

func publicKey(path string) (*secrets.PublicKey, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the public key: %w", err)
	}
	key, err := secrets.ParsePublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("cannot use the public key %s: %w", path, err)
	}
	return key, nil
}

// readValue gives a sealed value; blanks and line ends around it are not part
// of it.
func (o *options) readValue(stdin *os.File) (string, error) {
	data, err := o.readData("value", stdin)
	return strings.TrimSpace(string(data)), err
}

func write(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return nil
}
