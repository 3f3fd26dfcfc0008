package e2e

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// sealKey makes a key as ssh-keygen would, which the virtual machine lacks, in
// the host's directory.
func (h *host) sealKey(name string) string {
	h.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(h.t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(h.t, err)
	sshKey, err := ssh.NewPublicKey(public)
	must(h.t, err)
	file := h.path(name)
	must(h.t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	must(h.t, os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(sshKey), 0o644))
	return file
}

// seal seals a secret with lithos_crypt, by which it doesn't stand in `ps`.
func (h *host) seal(key, namespace, secret string) string {
	h.t.Helper()
	cmd := exec.Command(filepath.Join(binDir, "lithos_crypt"), "encrypt", "-k", key+".pub", "-n", namespace)
	cmd.Stdin = strings.NewReader(secret)
	out, err := cmd.Output()
	must(h.t, err)
	return strings.TrimSpace(string(out))
}

// environ is what the report of a program says of a variable.
func (s seen) environ(name string) (value string, times int) {
	for _, e := range s.Env {
		if key, v, _ := strings.Cut(e, "="); key == name {
			value, times = v, times+1
		}
	}
	return value, times
}

func reporting(more, file string) string { return simple(more+dataVolume, "report", "/out/"+file) }

// Covers: E11, J1, J2, J3, J6, J7
func TestSecretsReachTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	must(t, os.Chmod(h.path("data"), 0o777))
	old, current := h.sealKey("old"), h.sealKey("new")
	both, err := os.ReadFile(old)
	must(t, err)
	more, err := os.ReadFile(current)
	must(t, err)
	h.write("keys", string(both)+string(more))
	must(t, os.Chmod(h.path("keys"), 0o600))
	h.image("app", map[string]string{
		"app": reporting("environ: {A: plain, B: plain}\nsecret-environ:\n"+
			"  A: "+h.seal(old, "ours", "of the old key")+"\n"+
			"  TERM: "+h.seal(current, "ours", "a-secret-term")+"\n"+
			"  C: ["+h.seal(current, "theirs", "no")+", "+h.seal(current, "extra", "of another namespace")+"]\n", "app"),
		"file":   reporting("secret-environ-file: deep/../list.yaml\n", "file"),
		"theirs": reporting("secret-environ: {A: "+h.seal(current, "theirs", "no")+"}\n", "theirs"),
	})
	must(t, os.Mkdir(h.path("images/app/config/deep"), 0o755))
	h.config("app", "list", "A: "+h.seal(current, "ours", "of a file")+"\n")
	h.sandbox("box", "secrets-private-key: "+h.path("keys")+"\nsecrets-namespaces: [ours]\nwritable-paths: {/data: "+h.path("data")+"}\n", `
		app: {image: app, config: /config/app.yaml, extra-secrets-namespaces: [extra]}
		file: {image: app, config: /config/file.yaml}
		theirs: {image: app, config: /config/theirs.yaml}
		`)
	h.start()
	s := h.seen("app")
	for name, want := range map[string]string{"A": "of the old key", "B": "plain", "C": "of another namespace", "TERM": "a-secret-term"} {
		if got, times := s.environ(name); got != want || times != 1 {
			t.Errorf("%s is %q (%d times), want %q", name, got, times, want)
		}
	}
	if got, _ := h.seen("file").environ("A"); got != "of a file" {
		t.Errorf("A is %q by secret-environ-file", got)
	}
	h.running("box/app.0", "box/file.0")
	if log := h.read("log", "master.log"); !strings.Contains(log, `it is sealed for the namespace "theirs", allowed here: "ours"`) {
		t.Error("the log does not say why a secret was not opened")
	}
}

// A secret that is sealed again restarts nothing, another one does; one that
// can't be opened changes nothing, and a key that is gone fails the next start
// only, until it is there again.
//
// Covers: C23, D12, J6
func TestChangedSecretReplacesTheContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	must(t, os.Chmod(h.path("data"), 0o777))
	key, other := h.sealKey("key"), h.sealKey("other")
	config := func(value string) {
		h.config("app", "app", reporting("restart-timeout: 0.1\nsecret-environ: {A: "+value+"}\n", "app"))
	}
	h.image("app", nil)
	config(h.seal(key, "", "first"))
	h.sandbox("box", "secrets-private-key: "+key+"\nwritable-paths: {/data: "+h.path("data")+"}\n", app)
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	h.seen("app")

	for _, value := range []string{
		h.seal(key, "", "first"),
		"[" + h.seal(other, "", "second") + ", " + h.seal(key, "", "first") + "]",
		h.seal(other, "", "second"), // can't be opened
	} {
		config(value)
		h.reload("box")
		if now := h.running("box/app.0")["box/app.0"]; now.knot != before.knot {
			t.Error("the container was replaced though its secret is the same")
		}
	}
	if log := h.read("log", "master.log"); !strings.Contains(log, "app.yaml") || !strings.Contains(log, "cannot open the secret: it is sealed for the key") {
		t.Error("the log does not say which secret can't be opened")
	}
	must(t, os.Remove(h.path("data/app")))
	config(h.seal(key, "", "second"))
	h.reload("box")
	now := h.successor("box/app.0", before, 10*time.Second)
	if got, _ := h.seen("app").environ("A"); got != "second" {
		t.Errorf("A is %q in the new container", got)
	}

	must(t, os.Rename(key, key+".away"))
	kill(t, now.program, killSignal)
	eventually(t, "a failed start", 10*time.Second, func() error {
		if log := h.read("log", "box.log"); !strings.Contains(log, "cannot read the private key: open "+key) {
			return fmt.Errorf("the log is\n%s", log)
		}
		return nil
	})
	must(t, os.Rename(key+".away", key))
	h.successor("box/app.0", now, 10*time.Second)
}

// No secret is anywhere but in the environment of its program.
//
// Covers: J9
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	const secret, pasted = "hunter2-this-is-secret", "pasted-where-a-sealed-one-belongs"
	h := newHost(t, "log-level: trace")
	must(t, os.Chmod(h.path("data"), 0o777))
	key := h.sealKey("key")
	crashes := simple("restart-timeout: 0.1\nsecret-environ: {PASSWORD: "+h.seal(key, "n", secret)+"}\n", "run", "0", "3")
	h.image("app", map[string]string{
		"app":     reporting("restart-process-only: true\nsecret-environ: {PASSWORD: "+h.seal(key, "n", secret)+"}\n", "app"),
		"crashes": crashes,
		// Starts that fail, in PID 1 and before it.
		"missing": strings.ReplaceAll(crashes, "/bin/e2e", "/bin/none"),
		"volume":  crashes + "volumes: {/none: !Readonly /data}\n",
		"other":   simple("secret-environ: {PASSWORD: "+h.seal(key, "other", secret)+"}\n", "wait"),
		"bare":    simple("secret-environ: {PASSWORD: "+pasted+"}\n", "wait"),
	})
	h.sandbox("box", "secrets-private-key: "+key+"\nsecrets-namespaces: [n]\nwritable-paths: {/data: "+h.path("data")+"}\n", `
		app: {image: app, config: /config/app.yaml}
		crashes: {image: app, config: /config/crashes.yaml}
		missing: {image: app, config: /config/missing.yaml}
		volume: {image: app, config: /config/volume.yaml}
		other: {image: app, config: /config/other.yaml}
		bare: {image: app, config: /config/bare.yaml}
		`)
	cmd := h.command()
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	cmd.Dir = t.TempDir()
	h.launch(cmd)
	app := h.programs("box/app.0")["box/app.0"]
	if got, _ := h.seen("app").environ("PASSWORD"); got != secret {
		t.Fatalf("the program has %q: this test would find nothing", got)
	}
	control := h.control()
	eventually(t, "the deaths of all", 20*time.Second, func() error {
		for _, name := range []string{"box/crashes.0", "box/missing.0", "box/volume.0"} {
			if list, err := control.Deaths(t.Context(), name); err != nil || len(list) < 2 {
				return fmt.Errorf("%s died %d times, %v", name, len(list), err)
			}
		}
		return nil
	})

	found := func(where string, data []byte) {
		if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte(secret[4:])) || bytes.Contains(data, []byte(pasted)) {
			t.Errorf("there is a secret in %s", where)
		}
	}
	// Logs, state directories, records and all else that is written.
	for _, dir := range []string{"log", "run"} {
		must(t, filepath.WalkDir(h.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // files that vanished meanwhile
			}
			if data, err := os.ReadFile(path); err == nil {
				found(path, data)
			}
			return nil
		}))
	}
	found("the daemon's output", []byte(h.read("daemon.out")))
	// ps.
	for _, pid := range []int{h.daemon.cmd.Process.Pid, app.knot, app.program} {
		for _, file := range []string{"cmdline", "environ", "comm", "status"} {
			if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)); err != nil {
				t.Error(err)
			} else if file != "environ" || pid != app.program {
				found(fmt.Sprintf("/proc/%d/%s", pid, file), data)
			}
		}
	}
	// Answers of the control socket.
	status, err := control.Status(t.Context(), true)
	must(t, err)
	instances, err := control.Instances(t.Context(), "", true)
	must(t, err)
	deaths, err := control.AllDeaths(t.Context(), "", 1000)
	must(t, err)
	metrics, err := control.Metrics(t.Context())
	must(t, err)
	found("a status answer", marshalAll(t, status, instances, deaths, metrics))
	found("the events", h.events())
	// The output of the checkers, also about another secret.
	h.write("next.yaml", strings.Replace(h.read("processes/box.yaml"), "app: {", "app: {instances: 2, ", 1))
	for _, args := range [][]string{
		{"lithos_check", "-C", h.path("master.yaml"), "-v"},
		{"lithos_check", "-C", h.path("master.yaml"), "--json"},
		{"lithos_switch", "--master", h.path("master.yaml"), "--dry-run", "box", h.path("next.yaml")},
		{"lithos_switch", "--master", h.path("master.yaml"), "--dry-run", "--json", "box", h.path("next.yaml")},
	} {
		out, _ := exec.Command(filepath.Join(binDir, args[0]), args[1:]...).CombinedOutput()
		if len(out) == 0 {
			t.Errorf("%q says nothing", args)
		}
		found(args[0], out)
	}
	noDump(t, h)
}

// printFile writes a file to its output: print FILE.
func printFile(args []string) {
	data, err := os.ReadFile(args[0])
	check(err)
	fmt.Println(string(data), os.WriteFile(args[0], nil, 0o600))
	wait()
}

// The other way: a directory of the host with files that the program's user may
// read, on a volume that nobody may write.
//
// Covers: J10
func TestSecretsFromAVolume(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	must(t, os.Mkdir(h.path("secrets"), 0o700))
	h.write("secrets/password", "from a volume")
	for _, name := range []string{"secrets", "secrets/password"} {
		must(t, os.Chown(h.path(name), 1000, 1000))
	}
	must(t, os.Chmod(h.path("secrets/password"), 0o400))
	h.image("app", map[string]string{"app": simple("volumes: {/volume: !Readonly /secrets}\n", "print", "/volume/password")})
	h.sandbox("box", "readonly-paths: {/secrets: "+h.path("secrets")+"}\n", app)
	h.start()
	h.running("box/app.0")
	eventually(t, "the program's output", 10*time.Second, func() error {
		return h.outputIn("log/stderr/box.log", "from a volume open /volume/password: read-only file system")
	})
}

// marshalAll is JSON of several values.
func marshalAll(t *testing.T, values ...any) []byte {
	t.Helper()
	data, err := json.Marshal(values)
	must(t, err)
	return data
}

// events are all that the daemon still knows.
func (h *host) events() []byte {
	h.t.Helper()
	var all []byte
	done := fmt.Errorf("enough")
	status, err := h.control().Status(h.t.Context(), false)
	must(h.t, err)
	_ = h.control().Events(h.t.Context(), "", 0, func(e api.Event) error {
		all = append(all, marshalAll(h.t, e)...)
		if e.Seq >= status.Seq {
			return done
		}
		return nil
	})
	if len(all) == 0 {
		h.t.Error("there are no events")
	}
	return all
}

// noDump kills the daemon as a crash would, with a dump wanted: by its
// GOTRACEBACK and the limits. A shell under the same limits shows that there
// would be one.
func noDump(t *testing.T, h *host) {
	t.Helper()
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	must(t, unix.Prlimit(h.daemon.cmd.Process.Pid, unix.RLIMIT_CORE, &unlimited, nil))
	shell := exec.Command("/bin/sh", "-c", "ulimit -c unlimited; kill -ABRT $$")
	shell.Dir = t.TempDir()
	_ = shell.Run()
	if !shell.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		t.Fatalf("a shell that is killed by ABRT leaves no core dump (kernel.core_pattern?): this test would prove nothing")
	}
	h.daemon.signal(syscall.SIGABRT)
	<-h.daemon.done
	if status := h.daemon.cmd.ProcessState.Sys().(syscall.WaitStatus); status.CoreDump() || !status.Signaled() {
		t.Errorf("the daemon ended with %#x: dumped core %v", status, status.CoreDump())
	}
	if files, _ := os.ReadDir(h.daemon.cmd.Dir); len(files) > 0 {
		t.Errorf("it left %v", slices.Collect(func(yield func(string) bool) {
			for _, f := range files {
				yield(f.Name())
			}
		}))
	}
	// The next one takes away what it left.
	h.processes("box", "app: {image: app, config: /config/app.yaml}")
	h.start()
	h.settled(api.Wait{Reload: 1, Instance: "box/app.0"})
}
