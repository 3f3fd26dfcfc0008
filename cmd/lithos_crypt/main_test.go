package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// result is what a call of the program did.
type result struct {
	code           int
	stdout, stderr string
}

// call runs the program with that on standard input.
func call(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = io.WriteString(w, stdin) // nobody has to read it
		w.Close()
	}()
	return callWith(r, args...)
}

func callWith(stdin *os.File, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// newKey makes a key by ssh-keygen; the public one is beside it, with .pub.
func newKey(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "main.key")
	args = append([]string{"-q", "-t", "ed25519", "-P", "", "-f", path}, args...)
	if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s(it is needed for this test: apt-get install openssh-client)", err, out)
	}
	return path
}

func writeFile(t *testing.T, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// encrypted calls encrypt, which must work, and gives the value.
func encrypted(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	got := call(t, stdin, append([]string{"encrypt"}, args...)...)
	value, end := strings.CutSuffix(got.stdout, "\n")
	if got.code != 0 || got.stderr != "" || !end || strings.ContainsAny(value, " \n") {
		t.Fatalf("encrypt %q: %+v", args, got)
	}
	return value
}

// Covers: J8, R7
func TestManualsExampleRoundTrips(t *testing.T) {
	key := newKey(t)
	value := encrypted(t, "", "-k", key+".pub", "-n", "myapp", "-d", "the_secret")
	parts := strings.Split(value, ":")
	if len(parts) != 5 || parts[0] != "v2" || parts[2] != "KqWSX0BY" || parts[3] != "8MtOoWUX" || len(parts[4]) != 88 {
		t.Errorf("got %s", value)
	}
	if got, want := call(t, "", "decrypt", "-i", key, "-d", value), (result{0, "the_secret", "myapp:\n"}); got != want {
		t.Errorf("decrypt: got %+v, want %+v", got, want)
	}
	if got, want := call(t, "", "check-key", "-k", key+".pub", "-d", value), (result{}); got != want {
		t.Errorf("check-key: got %+v", got)
	}
}

// On a terminal, where both go, the secret stands between its namespace and the
// end of the line.
//
// Covers: J8
func TestDecryptOnATerminal(t *testing.T) {
	key := newKey(t)
	value := encrypted(t, "", "-k", key+".pub", "-n", "some.namespace", "-d", "x:y")
	var both bytes.Buffer
	if code := run([]string{"decrypt", "-i", key, "-d", value}, os.Stdin, &both, &both); code != 0 || both.String() != "some.namespace:x:y\n" {
		t.Errorf("exit code %d, %q", code, both.String())
	}
}

// Covers: J8
func TestNamespaceIsEmptyByDefault(t *testing.T) {
	key := newKey(t)
	for _, args := range [][]string{{"-d", "x"}, {"-d", "x", "-n", ""}, {"-d", "x", "--namespace="}} {
		value := encrypted(t, "", append([]string{"-k", key + ".pub"}, args...)...)
		if got, want := call(t, "", "decrypt", "-i", key, "-d", value), (result{0, "x", ":\n"}); got != want {
			t.Errorf("%q: got %+v, want %+v", args, got, want)
		}
	}
}

// Covers: J9
func TestCiphertextsDiffer(t *testing.T) {
	key := newKey(t)
	a := encrypted(t, "", "-k", key+".pub", "-d", "x")
	b := encrypted(t, "", "-k", key+".pub", "-d", "x")
	if a == b {
		t.Errorf("twice %s", a)
	}
}

// A secret that must not appear in ps comes by standard input or from a file.
//
// Covers: J8, R7
func TestSecretIsReadFromInput(t *testing.T) {
	key := newKey(t)
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"input", "hunter2", nil, "hunter2"},
		{"input by name", "hunter2", []string{"--data-file", "-"}, "hunter2"},
		{"a newline is taken off", "hunter2\n", nil, "hunter2"},
		{"Windows' newline is taken off", "hunter2\r\n", nil, "hunter2"},
		{"only one newline", "hunter2\n\n", nil, "hunter2\n"},
		{"newlines inside", "a\nb\n", nil, "a\nb"},
		{"a return without a newline", "hunter2\r", nil, "hunter2\r"},
		{"blanks", " hunter2 ", nil, " hunter2 "},
		{"kept newline", "a\nb\n", []string{"--keep-newline"}, "a\nb\n"},
		{"only a newline, kept", "\n", []string{"--keep-newline"}, "\n"},
		{"file", "not this", []string{"--data-file", writeFile(t, "hunter2\n")}, "hunter2"},
		{"file, kept newline", "", []string{"--keep-newline", "--data-file", writeFile(t, "hunter2\n")}, "hunter2\n"},
		{"on the command line as it is", "not this", []string{"-d", "hunter2\n"}, "hunter2\n"},
		{"empty on the command line", "not this", []string{"-d", ""}, ""},
		{"like an option", "", []string{"-d", "--help"}, "--help"},
		{"100 kB", strings.Repeat("x", 100000), nil, strings.Repeat("x", 100000)},
	} {
		t.Run("J8 "+tt.name, func(t *testing.T) {
			value := encrypted(t, tt.stdin, append([]string{"-k", key + ".pub"}, tt.args...)...)
			if got := call(t, "", "decrypt", "-i", key, "-d", value); got.code != 0 || got.stdout != tt.want {
				t.Errorf("got %.200v", got)
			}
		})
	}
}

// Covers: J8, R7
func TestValueIsReadFromInput(t *testing.T) {
	key := newKey(t)
	value := encrypted(t, "hunter2", "-k", key+".pub")
	for name, tt := range map[string]struct {
		stdin string
		args  []string
	}{
		"input":                {value + "\n", nil},
		"input with blanks":    {"\n  " + value + "  \n\n", nil},
		"input by name":        {value, []string{"--data-file=-"}},
		"file":                 {"", []string{"--data-file", writeFile(t, value+"\r\n")}},
		"command line, padded": {"", []string{"-d", " " + value + "\n"}},
	} {
		if got, want := call(t, tt.stdin, append([]string{"decrypt", "-i", key}, tt.args...)...), (result{0, "hunter2", ":\n"}); got != want {
			t.Errorf("J8 %s: decrypt: %+v", name, got)
		}
		if got := call(t, tt.stdin, append([]string{"check-key", "-k", key + ".pub"}, tt.args...)...); got != (result{}) {
			t.Errorf("J8 %s: check-key: %+v", name, got)
		}
	}
}

// Covers: R7
func TestOptionSpellings(t *testing.T) {
	key := newKey(t)
	for _, args := range [][]string{
		{"--key-file", key + ".pub", "--namespace", "ns", "--data", "x"},
		{"--key-file=" + key + ".pub", "--namespace=ns", "--data=x"},
		{"-k" + key + ".pub", "-nns", "-dx"},
		{"-k=" + key + ".pub", "-n=ns", "-d=x"},
		{"-d", "x", "-n", "ns", "-k", key + ".pub"},
	} {
		value := encrypted(t, "", args...)
		for _, args := range [][]string{{"-i", key}, {"--key-file", key}, {"-i" + key}, {"-i=" + key}} {
			if got, want := call(t, "", append([]string{"decrypt", "--data", value}, args...)...), (result{0, "x", "ns:\n"}); got != want {
				t.Errorf("%q: got %+v", args, got)
			}
		}
	}
}

// Covers: J8, R7
func TestCheckKeyComparesHashes(t *testing.T) {
	key, other := newKey(t), newKey(t)
	value := encrypted(t, "x", "-k", key+".pub")
	got := call(t, "", "check-key", "-k", other+".pub", "-d", value)
	hash := strings.Split(value, ":")[1]
	otherHash := strings.Split(encrypted(t, "x", "-k", other+".pub"), ":")[1]
	want := result{1, "", "lithos_crypt: the value is sealed for the key " + hash + ", " + other + ".pub is " + otherHash + "\n"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Covers: J1, J6
func TestAnyKeyOfTheFileDecrypts(t *testing.T) {
	a, b := newKey(t), newKey(t)
	var both string
	for _, file := range []string{a, b} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both += string(data)
	}
	file := writeFile(t, both)
	for _, key := range []string{a, b} {
		if got, want := call(t, encrypted(t, "x", "-k", key+".pub"), "decrypt", "-i", file), (result{0, "x", ":\n"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// Covers: J1, J2, J4, J8, R7
func TestErrorMessages(t *testing.T) {
	key, other := newKey(t), newKey(t)
	rsa := newKey(t, "-t", "rsa", "-b", "2048")
	value := encrypted(t, "hunter2", "-k", key+".pub")
	gone := filepath.Join(t.TempDir(), "gone")
	encrypt := func(args ...string) []string { return append([]string{"encrypt", "-k", key + ".pub"}, args...) }
	for _, tt := range []struct {
		name, stdin string
		args        []string
		code        int
		want        string // the beginning of stderr
	}{
		{"no command", "", nil, 2, "Usage: lithos_crypt encrypt"},
		{"unknown command", "", []string{"seal"}, 2, "lithos_crypt: there is no command \"seal\": it is encrypt, decrypt or check-key, and comes first\nTry lithos_crypt --help\n"},
		{"options before the command", "", []string{"-k", key + ".pub", "encrypt"}, 2, "lithos_crypt: there is no command \"-k\""},
		{"no public key", "x", []string{"encrypt"}, 2, "lithos_crypt: the public key is missing: give its file by -k\nTry lithos_crypt encrypt --help\n"},
		{"no private key", "x", []string{"decrypt"}, 2, "lithos_crypt: the private key is missing: give its file by -i\nTry lithos_crypt decrypt --help\n"},
		{"-i is not for encrypt", "x", []string{"encrypt", "-i", key}, 2, "lithos_crypt: there is no option -i here"},
		{"unknown option", "x", encrypt("--secret=hunter2"), 2, "lithos_crypt: there is no option --secret here"},
		{"option without value", "x", encrypt("-d"), 2, "lithos_crypt: --data needs a value"},
		{"value without use", "x", encrypt("--keep-newline=no"), 2, "lithos_crypt: --keep-newline takes no value"},
		{"argument too many", "x", encrypt("-d", "hunter2", "hunter2"), 2, "lithos_crypt: there is an argument too many"},
		{"twice", "x", encrypt("-d", "hunter2", "--data=hunter2"), 2, "lithos_crypt: --data is given twice"},
		{"data and file", "x", encrypt("-d", "hunter2", "--data-file", "-"), 2, "lithos_crypt: --data and --data-file are both given"},
		{"data and kept newline", "x", encrypt("-d", "hunter2", "--keep-newline"), 2, "lithos_crypt: --keep-newline goes with a file"},
		{"file without a name", "x", encrypt("--data-file", ""), 2, "lithos_crypt: --data-file needs the name of a file"},
		{"J2 namespace", "hunter2", encrypt("-n", "a:b"), 2, `lithos_crypt: "a:b" is not a namespace: it may have letters, digits, _ . and -`},

		{"empty input", "", encrypt(), 1, `lithos_crypt: the secret is empty: if it is meant to be, give it by --data ""`},
		{"only a newline", "\n", encrypt(), 1, "lithos_crypt: the secret is empty"},
		{"NUL", "hunter2\x00", encrypt(), 1, "lithos_crypt: cannot seal the secret: it has a NUL byte"},
		{"not UTF-8", "hunter2\xff", encrypt(), 1, "lithos_crypt: cannot seal the secret: it is not UTF-8"},
		{"too long", strings.Repeat("hunter2", 20000), encrypt(), 1, "lithos_crypt: cannot seal the secret: it has 140000 bytes, an environment variable takes at most 131069"},
		{"endless", "", encrypt("--data-file", "/dev/zero"), 1, "lithos_crypt: cannot read the secret: /dev/zero: it has more than 1048576 bytes"},
		{"no such file", "", encrypt("--data-file", gone), 1, "lithos_crypt: cannot read the secret: open " + gone + ": no such file or directory"},
		{"no such key", "x", []string{"encrypt", "-k", gone}, 1, "lithos_crypt: cannot read the public key: open " + gone},
		{"directory as key", "x", []string{"encrypt", "-k", "/"}, 1, "lithos_crypt: cannot read the public key: /: is a directory"},
		{"private key as public", "x", []string{"encrypt", "-k", key}, 1, "lithos_crypt: cannot use the public key " + key + ": it is a private key"},
		{"public key as private", value, []string{"decrypt", "-i", key + ".pub"}, 1, "lithos_crypt: cannot use the private key " + key + ".pub: line 1 is a public key"},
		{"J1 RSA", "x", []string{"encrypt", "-k", rsa + ".pub"}, 1, "lithos_crypt: cannot use the public key " + rsa + `.pub: it is a key of type "ssh-rsa", only ed25519 keys`},
		{"J1 RSA to decrypt", value, []string{"decrypt", "-i", rsa}, 1, "lithos_crypt: cannot use the private key " + rsa + `: key 1 (line 1): it is a key of type "ssh-rsa"`},
		{"no such private key", value, []string{"decrypt", "-i", gone}, 1, "lithos_crypt: cannot read the private key: open " + gone},
		{"another key", value, []string{"decrypt", "-i", other}, 1, "lithos_crypt: cannot open the secret: it is sealed for the key "},
		{"a secret as value", "hunter2", []string{"decrypt", "-i", key}, 1, "lithos_crypt: cannot open the secret: it is not a sealed value"},
		{"a cut value", value[:len(value)-4], []string{"decrypt", "-i", key}, 1, "lithos_crypt: cannot open the secret: it is damaged"},
		{"J4 version 1", "v1:a:b", []string{"decrypt", "-i", key}, 1, "lithos_crypt: cannot open the secret: it is of version 1"},
		{"check a secret", "hunter2", []string{"check-key", "-k", key + ".pub"}, 1, "lithos_crypt: cannot check the value: it is not a sealed value"},
		{"check without a key", value, []string{"check-key", "-k", gone}, 1, "lithos_crypt: cannot read the public key"},
		{"check nothing", "", []string{"check-key", "-k", key + ".pub", "--data-file", gone}, 1, "lithos_crypt: cannot read the value"},
	} {
		t.Run("R7 "+tt.name, func(t *testing.T) {
			got := call(t, tt.stdin, tt.args...)
			if got.code != tt.code || got.stdout != "" || !strings.HasPrefix(got.stderr, tt.want) || !strings.HasSuffix(got.stderr, "\n") {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.stderr, "hunter2") {
				t.Errorf("the secret is in the error: %s", got.stderr)
			}
		})
	}
}

// Covers: R7
func TestHelpNamesEveryOption(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, help},
		{[]string{"-h"}, help},
		{[]string{"help"}, help},
		{[]string{"help", "encrypt"}, encryptHelp},
		{[]string{"help", "nothing"}, help},
		{[]string{"encrypt", "--help"}, encryptHelp},
		{[]string{"decrypt", "-h"}, decryptHelp},
		{[]string{"check-key", "-k", "x", "--help"}, checkKeyHelp},
		{[]string{"--version"}, "dev\n"},
		{[]string{"-V"}, "dev\n"},
	} {
		if got, want := call(t, "", tt.args...), (result{0, tt.want, ""}); got != want {
			t.Errorf("%q: got %+v", tt.args, got)
		}
	}
	for name, c := range commands {
		for _, k := range known {
			if k.name == "help" {
				continue
			}
			has := false
			for _, allowed := range c.options {
				has = has || allowed == k.name
			}
			short := k.short == "" || strings.Contains(c.help, "  "+k.short+", "+k.long+" ")
			if told := short && strings.Contains(c.help, " "+k.long+" "); told != has {
				t.Errorf("%s %s: in the help %v, in the program %v", name, k.name, told, has)
			}
		}
	}
}

// A terminal has nothing to give until somebody types: that needs a word.
//
// Covers: R7
func TestTerminalInputIsRefused(t *testing.T) {
	key := newKey(t)
	terminal := openTerminal(t)
	for _, args := range [][]string{{"encrypt", "-k", key + ".pub"}, {"decrypt", "-i", key}, {"check-key", "-k", key + ".pub"}} {
		got := callWith(terminal, args...)
		if got.code != 2 || !strings.Contains(got.stderr, "pipe it into standard input") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	// Asked for by name, it is read.
	value := encrypted(t, "", "-k", key+".pub", "-d", "x")
	if got := callWith(terminal, "decrypt", "-i", key, "-d", value); got.stdout != "x" {
		t.Errorf("got %+v", got)
	}
}

// openTerminal gives the program's side of a new terminal.
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("cannot make a terminal for the test: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal
}

// The program as it is shipped.
//
// Covers: R7
func TestProgramIsStatic(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lithos_crypt")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version=1.2.3", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic linker")
		}
	}

	key := newKey(t)
	value, err := pipe("hunter2\n", program, "encrypt", "-k", key+".pub", "-n", "myapp")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pipe(value, program, "decrypt", "-i", key); err != nil || got != "hunter2" {
		t.Errorf("decrypt: %q, %v", got, err)
	}
	if got, err := pipe("", program, "--version"); err != nil || got != "1.2.3\n" {
		t.Errorf("version: %q, %v", got, err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"encrypt", "-k", key + ".pub", "-d", "x"}, {"decrypt", "-i", key, "-d", strings.TrimSpace(value)}} {
		var stderr bytes.Buffer
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "cannot write the result") {
			t.Errorf("%s into a full device: %v, %q", args[0], err, stderr.String())
		}
	}
}

func pipe(stdin, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	return string(out), err
}
