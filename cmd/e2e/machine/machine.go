// Package machine is what the suites of real containers, cmd/e2e and cmd/e2e/attack,
// know of the machine they run on: where things are, how slow it is, and how to
// wait there.
package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Slow is by how much slower than usual it is.
var Slow = Number("LITHOS_E2E_SLOW", 1)

// Directory is the absolute path in a variable of the environment, or another one.
func Directory(variable, otherwise string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		dir = otherwise
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Number is the number in a variable of the environment, at least 1, or another
// one.
func Number(variable string, otherwise float64) float64 {
	if f, err := strconv.ParseFloat(os.Getenv(variable), 64); err == nil && f >= 1 {
		return f
	}
	return otherwise
}

// Within scales a time limit to the machine, up to minutes: what has not come by
// then won't.
func Within(d time.Duration) time.Duration {
	const longest = 4 * time.Minute
	return max(d, min(time.Duration(float64(d)*Slow), longest))
}

// Must fails the test on an error of its own set-up.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually polls until a condition holds, and fails the test with its last
// error when it does not in time.
func Eventually(t testing.TB, what string, limit time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(Within(limit))
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, Within(limit), err)
		}
		time.Sleep(pause)
	}
}
