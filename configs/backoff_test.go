package configs

import (
	"testing"
	"time"
)

// Covers: N3
func TestBackoffDelays(t *testing.T) {
	const s = time.Second
	b := RestartBackoff{Factor: 2, Cap: 60 * s, Reset: 10 * s}
	shaky := b
	shaky.Jitter = 0.5
	for _, c := range []struct {
		name    string
		b       RestartBackoff
		timeout time.Duration
		n       int
		chance  float64
		want    time.Duration
	}{
		{"off", RestartBackoff{}, s, 50, 0.9, s},
		{"no failure", b, s, 0, 0, s},
		{"the first", b, s, 1, 0, s},
		{"the second", b, s, 2, 0, 2 * s},
		{"the sixth", b, s, 6, 0, 32 * s},
		{"the cap", b, s, 7, 0, 60 * s},
		{"beyond all numbers", b, s, 1 << 30, 0, 60 * s},
		{"a fraction", RestartBackoff{Factor: 1.5, Cap: 60 * s}, s, 3, 0, 2250 * time.Millisecond},
		{"a factor of one", RestartBackoff{Factor: 1, Cap: 60 * s}, s, 9, 0, s},
		{"no jitter is used without chance", shaky, s, 5, 0, 16 * s},
		{"jitter takes away", shaky, s, 5, 0.5, 12 * s},
		{"jitter at the cap", shaky, s, 50, 1, 30 * s},
		{"jitter leaves restart-timeout", RestartBackoff{Factor: 1.1, Cap: 60 * s, Jitter: 1}, s, 2, 1, s},
		{"nothing to multiply", b, 0, 99, 0, 0},
	} {
		equal(t, c.name, c.b.Wait(c.timeout, c.n, c.chance), c.want)
	}
	equal(t, "a failure", b.Count(3, true, s), 4)
	equal(t, "N9 no failure", b.Count(3, false, s), 0)
	equal(t, "a healthy one that failed", b.Count(3, true, 10*s), 1)
	equal(t, "off", RestartBackoff{}.Count(3, true, time.Hour), 4)
}

// Covers: E18
func TestRestartBackoffIsRead(t *testing.T) {
	const s = time.Second
	for yaml, want := range map[string]RestartBackoff{
		"":                            {},
		"restart-backoff: null\n":     {},
		"restart-backoff: {}\n":       {Factor: 2, Cap: 60 * s, Reset: 10 * s},
		"restart_backoff: 1.5\n":      {Factor: 1.5, Cap: 60 * s, Reset: 10 * s},
		"restart-backoff: {cap: 5}\n": {Factor: 2, Cap: 5 * s, Reset: 10 * s},
		"restart-timeout: 90\nrestart-backoff: 3\n":                                 {Factor: 3, Cap: 90 * s, Reset: 10 * s},
		"restart-backoff: {factor: 10, cap: 3600, jitter: 0.25, reset: 0.5}\n":      {Factor: 10, Cap: time.Hour, Jitter: 0.25, Reset: s / 2},
		"restart-process-only: false\nrestart-timeout: 1\nrestart-backoff: 100.0\n": {Factor: 100, Cap: 60 * s, Reset: 10 * s},
	} {
		equal(t, yaml, hostConfig{container: yaml}.app(t).RestartBackoff, want)
	}
	equal(t, "in words", RestartBackoff{Factor: 1.5, Cap: 60 * s, Jitter: 0.2, Reset: 10 * s}.String(), "{factor: 1.5, cap: 60, jitter: 0.2, reset: 10}")
	runProblems(t, []problemCase{
		{name: "numbers", host: hostConfig{container: "restart-backoff: {factor: 0.5, cap: 5s, jitter: 1.1, reset: -1}\n"},
			want: []string{"app.yaml:1:27: error: restart-backoff.factor: 0.5 is not in 1 to 100",
				`app.yaml:1:37: error: restart-backoff.cap: "5s" is not a number of seconds`,
				"app.yaml:1:49: error: restart-backoff.jitter: 1.1 is not in 0 to 1",
				`app.yaml:1:61: error: restart-backoff.reset: "-1" is not a number of seconds`}},
		{name: "a word", host: hostConfig{container: "restart-backoff: yes\n"},
			want: []string{`app.yaml:1:18: error: restart-backoff: "yes" is not a number such as 1.5`}},
		{name: "no number", host: hostConfig{container: "restart-backoff: NaN\n"}, want: []string{`"NaN" is not a number`}},
		{name: "a list", host: hostConfig{container: "restart-backoff: [2]\n"}, want: []string{"app.yaml:1:18: error: restart-backoff: expected a factor such as 2, or a mapping"}},
		{name: "a key", host: hostConfig{container: "restart-backoff: {max: 2}\n"}, want: []string{"app.yaml:1:19: error: restart-backoff.max: unknown key"}},
		{name: "cap below", host: hostConfig{container: "restart-timeout: 10\nrestart-backoff: {cap: 5}\n"},
			want: []string{"app.yaml:2:24: error: restart-backoff.cap: 5 s is less than restart-timeout, 10 s"}},
		{name: "nothing to multiply", host: hostConfig{container: "restart-timeout: 0\nrestart-backoff: 2\n"},
			want: []string{"app.yaml:2:18: error: restart-backoff: needs a restart-timeout above 0"}},
		{name: "E18 PID 1 does it", host: hostConfig{container: "restart-process-only: true\nrestart-backoff: 2\n"},
			want: []string{"app.yaml:2:18: error: restart-backoff: can't be together with restart-process-only"}},
	})
}

// No policy waits less than restart-timeout, or more than its cap.
func FuzzBackoff(f *testing.F) {
	f.Add(2.0, int64(time.Minute), 0.1, int64(time.Second), 5, 0.5)
	f.Add(100.0, int64(24*time.Hour), 1.0, int64(1), 1<<40, 0.999)
	f.Add(1.0, int64(1), 0.0, int64(0), -1, 0.0)
	f.Fuzz(func(t *testing.T, factor float64, most int64, jitter float64, timeout int64, n int, chance float64) {
		const day = int64(24 * time.Hour)
		if !(factor >= 1 && factor <= 100 && jitter >= 0 && jitter <= 1 && chance >= 0 && chance < 1) ||
			timeout < 0 || timeout > day || most < timeout || most > day {
			return // the parser refuses it
		}
		b := RestartBackoff{Factor: factor, Cap: time.Duration(most), Jitter: jitter}
		wait := b.Wait(time.Duration(timeout), n, chance)
		if wait < time.Duration(timeout) || wait > b.Cap {
			t.Errorf("%s after %d failures and restart-timeout %d waits %d", b, n, timeout, wait)
		}
		if n > 1 && n < 1<<40 && b.Wait(time.Duration(timeout), n+1, chance) < wait {
			t.Errorf("%s waits less after %d failures than after %d", b, n+1, n)
		}
	})
}
