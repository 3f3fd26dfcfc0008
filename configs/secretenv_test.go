package configs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs/secrets"
)

// sealed is of the right form, for a key that nobody here has.
const sealed = "v2:ROit92I5:82HdsExJ:Gd3ocJsr:Hp3pngQZUos5b8ioKVUx40kegM1uDsYWwsWqC1cJ1/1KmQPQQWJZe86xg11EOIxbuLj6PU1BH8yz5qCnWp//Ofbc"

// Covers: C22, E10, E11, J1, J4, J7
func TestSecretProblems(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "E11 both kinds of secrets", host: hostConfig{container: "secret-environ: {A: '" + sealed + "'}\nsecret-environ-file: app.yaml\n"},
			want: []string{"app.yaml:2:22: error: secret-environ-file: conflicts with secret-environ: give one of them"}},
		{name: "J1 C22 no key", host: hostConfig{container: "environ: {A: x}\nsecret-environ: {A: '" + sealed + "'}\n"},
			want: []string{"app.yaml:1:14: warning: environ.A: A is in secret-environ too, which wins",
				"app.yaml:2:18: error: secret-environ.A: cannot open the secret: there is no key, set secrets-private-key in the sandbox config"}},
		{name: "J1 the key is missing", host: hostConfig{sandbox: "secrets-private-key: HOST/none\n", container: "secret-environ: {A: '" + sealed + "'}\n"},
			want: []string{"app.yaml:1:18: error: secret-environ.A: cannot read the private key: open"}},
		{name: "J1 a key that is none", host: hostConfig{sandbox: "secrets-private-key: HOST/master.yaml\n", container: "secret-environ: {A: '" + sealed + "'}\n"},
			want: []string{"app.yaml:1:18: error: secret-environ.A: cannot use the private key: "}},
		{name: "E10 lithos's own can't be secrets", host: hostConfig{container: "secret-environ: {LITHOS_NAME: '" + sealed + "'}\n"},
			want: []string{"app.yaml:1:18: warning: secret-environ.LITHOS_NAME: LITHOS_NAME is always set by lithos itself, this secret is not used"}},
		{name: "J7 there is no such file", host: hostConfig{container: "secret-environ-file: /none\n"},
			want: []string{"app.yaml:1:22: error: secret-environ-file: cannot read /none in the image "}},
		{name: "J4 the form of a secret", host: hostConfig{
			container: "secret-environ: {A: hunter2, B: [], C: ['v1:a', 'v2:a:b:c:d'], D: 'v2:ROit92I5:82HdsExJ:Gd3ocJsr:aaaa', F: {}, '=': x}\n"},
			want: []string{
				"secret-environ.A: it is not a sealed value, which begins with v2",
				"secret-environ.B: the list has no value",
				"secret-environ.C[0]: it is of version 1",
				"secret-environ.C[1]: it is not a whole sealed value",
				"secret-environ.D: its last part is too short",
				"secret-environ.F: expected a string, got a mapping",
				`secret-environ.=: "=" can't be the name`,
			}},
	})
}

// sealer makes a key and seals for it.
type sealer struct {
	t    *testing.T
	file string
	key  *secrets.PublicKey
}

func newSealer(t *testing.T) *sealer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the key has to belong to root: run this test as root")
	}
	s := &sealer{t: t, file: filepath.Join(t.TempDir(), "key")}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s(it is needed for this test: apt-get install openssh-client)", err, out)
	}
	keys, err := secrets.ReadPrivateKeys(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.key = keys[0].Public()
	return s
}

func (s *sealer) seal(namespace, text string) string {
	s.t.Helper()
	for {
		v, err := s.key.Seal(namespace, secrets.NewSecret([]byte(text)))
		if err != nil {
			s.t.Fatal(err)
		}
		if !strings.Contains(v, "HOST") { // which writeTree would replace
			return v
		}
	}
}

// secretsOf is what a start of the container would get.
func secretsOf(t *testing.T, c *Container) map[string]string {
	t.Helper()
	opened, err := c.OpenSecrets()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range opened {
		got[o.Name] = string(o.Value.Reveal())
	}
	return got
}

// Covers: E11, J2, J3, J6
func TestSecretsAreDecrypted(t *testing.T) {
	a, b := newSealer(t), newSealer(t)
	h := hostConfig{
		sandbox: "secrets-private-key: " + b.file + "\nsecrets-namespaces: [two]\n",
		entry:   "extra-secrets-namespaces: [three]\n",
		container: "environ: {X: x, P: '@{lithos:pid}'}\nsecret-environ:\n  P: '" + b.seal("two", "one") + "'\n" +
			"  Q: ['" + a.seal("two", "of another key") + "', '" + b.seal("four", "of another namespace") + "', '" + b.seal("three", "second") + "', '" + b.seal("two", "third") + "']\n",
	}
	plan, problems, _ := h.load(t)
	wantProblems(t, problems, "P is in secret-environ too, which wins")
	in := plan.Sandboxes[0].Processes[0].Instances[0]
	c := in.Container
	equal(t, "secrets", secretsOf(t, c), map[string]string{"P": "one", "Q": "second"})
	equal(t, "variables that are the pid", c.PIDVariables, []string(nil))
	if strings.Contains(marshal(c), "second") || strings.Contains(in.JSON, "second") {
		t.Error("the plan has a secret in it")
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(a.file, b.file)) // another key
	if _, err := c.OpenSecrets(); err == nil || !strings.Contains(err.Error(), "secret-environ.P: cannot open the secret: it is sealed for the key") {
		t.Errorf("with another key: %v", err)
	}
	must(os.Chmod(b.file, 0o640))
	if _, err := c.OpenSecrets(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with a key that others may read: %v", err)
	}
}

// Covers: J2
func TestSecretsOfOtherNamespacesStaySealed(t *testing.T) {
	s := newSealer(t)
	_, problems, _ := hostConfig{
		sandbox:   "secrets-private-key: " + s.file + "\nsecrets-namespaces: [a.b]\n",
		container: "secret-environ: {A: '" + s.seal("a", "hunter2") + "', B: '" + s.seal("", "hunter2") + "'}\n",
	}.load(t)
	wantProblems(t, problems,
		`secret-environ.A: cannot open the secret: it is sealed for the namespace "a", allowed here: "a.b"`,
		`secret-environ.B: cannot open the secret: it is sealed for the namespace "", allowed here: "a.b"`)
	if strings.Contains(format(problems), "hunter2") {
		t.Error("a problem has a secret in it")
	}
}

// Covers: J7
func TestSecretEnvironFileIsRead(t *testing.T) {
	s := newSealer(t)
	outside := filepath.Join(t.TempDir(), "outside")
	writeFile(t, outside, "A: '"+s.seal("", "outside")+"'\n")
	for _, c := range []struct{ name, option, file, want string }{
		{"relative to the config", "s/x.yaml", "images/v1/config/s/x.yaml", "/config/s/x.yaml"},
		{"up", "../x", "images/v1/x", "/x"},
		{"absolute is inside the image", "/etc/s", "images/v1/etc/s", "/etc/s"},
	} {
		h := hostConfig{
			sandbox:   "secrets-private-key: " + s.file + "\n",
			container: "environ: {A: x}\nsecret-environ-file: " + c.option + "\n",
		}
		files := h.files()
		files[c.file] = "A: ['" + s.seal("", "inside") + "']\n"
		dir := writeTree(t, files)
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems, "A is in secret-environ-file too, which wins")
		got := plan.Sandboxes[0].Processes[0].Instances[0].Container
		equal(t, c.name, got.SecretEnvironFile, c.want)
		equal(t, c.name, secretsOf(t, got), map[string]string{"A": "inside"})

		// A link leads nowhere out of the image.
		if err := os.Remove(filepath.Join(dir, c.file)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, c.file)); err != nil {
			t.Fatal(err)
		}
		_, problems = Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems, "app.yaml:2:22: error: secret-environ-file: cannot read "+c.want)
	}
}

// A secret must not send elsewhere what a program tells of itself.
//
// Covers: E11, J7
func TestSecretsDoNotTurnOffTheWatchdog(t *testing.T) {
	s := newSealer(t)
	for variable, secret := range map[string]string{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"} {
		h := hostConfig{
			sandbox:   "secrets-private-key: " + s.file + "\n",
			container: "ready: {notify: /run/notify, watchdog: 5}\nsecret-environ-file: s.yaml\n",
			process:   "app: {image: v1, config: /config/app.yaml}\n",
		}
		files := h.files()
		files["images/v1/config/s.yaml"] = "A: '" + s.seal("", "good") + "'\n" + variable + ": '" + s.seal("", secret) + "'\n"
		_, problems := Load(Options{MasterFile: writeTree(t, files) + "/master.yaml"})
		wantProblems(t, problems, "v1/config/s.yaml:2:1: error: "+variable+": is set by `ready: {notify: …}`")
	}
}

// Covers: J7
func TestSecretProblemsNameTheirFile(t *testing.T) {
	s := newSealer(t)
	h := hostConfig{
		sandbox:   "secrets-private-key: " + s.file + "\n",
		container: "variables: {p: !TcpPort {activation: systemd}}\nsecret-environ-file: s.yaml\n",
		process: "app: {image: v1, config: /config/app.yaml, variables: {p: 80}}\n" +
			"two: {image: v2, config: /config/app.yaml, variables: {p: 80}}\n",
	}
	files := h.files()
	files["images/v1/config/s.yaml"] = "LISTEN_FDS: '" + s.seal("", "hunter2") + "'\nB: hunter2\n"
	files["images/v2/config/app.yaml"] = files["images/v1/config/app.yaml"]
	files["images/v2/config/s.yaml"] = "A: '" + s.seal("", "good") + "'\nB: '" + s.seal("x", "hunter2") + "'\n"
	dir := writeTree(t, files)
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems,
		"v1/config/s.yaml:1:1: error: LISTEN_FDS: is set by `activation: systemd`",
		"v1/config/s.yaml:2:4: error: B: it is not a sealed value",
		`v2/config/s.yaml:2:1: error: B: cannot open the secret: it is sealed for the namespace "x"`)
	checkBreakage(t, plan, problems)
	if strings.Contains(format(problems), "hunter2") {
		t.Error("a problem has a secret in it")
	}
}

// The fingerprint tells secrets apart, not the ways to seal them.
//
// Covers: C23
func TestSecretChangesTheFingerprint(t *testing.T) {
	a, b := newSealer(t), newSealer(t)
	load := func(key, namespaces, value string) *Instance {
		h := hostConfig{sandbox: "secrets-private-key: " + key + "\nsecrets-namespaces: " + namespaces + "\n", container: "secret-environ: {A: " + value + "}\n"}
		plan, _ := h.good(t)
		in := plan.Sandboxes[0].Processes[0].Instances[0]
		in.Container.Image = "" // it differs
		in.Fingerprint = fingerprint(in.Container, plan.Master)
		return in
	}
	first := load(a.file, "[n]", "'"+a.seal("n", "s1")+"'")
	for name, c := range map[string]struct {
		in   *Instance
		same bool
	}{
		"sealed anew":         {load(a.file, "[n]", "'"+a.seal("n", "s1")+"'"), true},
		"for another key":     {load(b.file, "[n]", "'"+b.seal("n", "s1")+"'"), true},
		"another namespace":   {load(a.file, "[m, n]", "'"+a.seal("m", "s1")+"'"), true},
		"one of several":      {load(a.file, "[n]", "['"+b.seal("n", "s2")+"', '"+a.seal("n", "s1")+"']"), true},
		"another secret":      {load(a.file, "[n]", "'"+a.seal("n", "s2")+"'"), false},
		"another one of them": {load(a.file, "[n]", "['"+a.seal("n", "s2")+"', '"+a.seal("n", "s1")+"']"), false},
	} {
		if got := c.in.Fingerprint == first.Fingerprint; got != c.same {
			t.Errorf("%s: the same is %v", name, got)
		}
		now := false
		for _, change := range Diff(first, c.in) {
			if change.Option != "resolv-conf" && change.Option != "hosts-file" {
				now = now || !change.Later
			}
		}
		if now == c.same {
			t.Errorf("%s: told to be another container: %v", name, now)
		}
	}
}

// Secrets that fit beside environ, in bytes, are accepted.
//
// Covers: E10, E11
func TestSecretsCountAgainstTheEnvironment(t *testing.T) {
	s := newSealer(t)
	long := s.seal("", strings.Repeat("x", 100000))
	h := hostConfig{sandbox: "secrets-private-key: " + s.file + "\n", container: "secret-environ-file: s\n"}
	files := h.files()
	files["images/v1/config/s"] = "A: &x '" + long + "'\n"
	for _, name := range strings.Split("B C D E F G H I J K", " ") {
		files["images/v1/config/s"] += name + ": *x\n"
	}
	dir := writeTree(t, files)
	_, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems, "error: arguments: arguments and environ have 1100")
}
