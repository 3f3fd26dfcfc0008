package spawn

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"lithos/spawn/wire"
)

// Covers: E11
func TestSecretsAreEncodedAndWiped(t *testing.T) {
	secret := []byte("hunter2")
	env := make([]string, 1, 8) // with room: the caller's list must not be written to
	env[0] = "A=1"
	// With a log it is one for a bare PID 1, and the secrets are there twice.
	r := &Request{Spec: &Spec{Env: env, StdioLog: "/log", Argv: []string{"a"}}, Secrets: []Secret{{"PASSWORD", secret}, {"EMPTY", nil}}}
	if text := fmt.Sprintf("%v %+v %#v %s", r.Secrets, r.Secrets, r.Secrets, r.Secrets); strings.Contains(text, "hunter") {
		t.Errorf("it is printed: %s", text)
	}
	started := *r.Spec
	parts, wipe := encode(&started, r.Secrets, true)
	if all := string(slices.Concat(parts...)); runtime.GOARCH == "amd64" && strings.Count(all, "hunter2") != 2 {
		t.Errorf("it is there %d times", strings.Count(all, "hunter2"))
	}
	spec, err := wire.Decode(slices.Concat(parts...))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"A=1", "PASSWORD=hunter2", "EMPTY="}; !slices.Equal(spec.Env, want) {
		t.Errorf("environment %q, want %q", spec.Env, want)
	}
	wipe()
	parts[0] = nil // the lengths of the others
	if strings.Trim(string(slices.Concat(parts...))+string(secret), "\x00") != "" {
		t.Error("something is left after the wiping")
	}
	if want := []string{"A=1"}; !slices.Equal(started.Env, want) || !slices.Equal(r.Spec.Env, want) || env[:2][1] != "" {
		t.Errorf("the environment is %q and %q afterwards", started.Env, r.Spec.Env)
	}
}
