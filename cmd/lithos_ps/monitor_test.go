package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// Covers: R9
func TestMonitorSortsAndScrolls(t *testing.T) {
	m := &monitor{now: example(), before: example(), rows: 24, columns: 200, key: 'n'}
	m.now.At = now.Add(2 * time.Second)
	for i, cpu := range []float64{1, 61.5, 3, 4} { // web/app.9 used 0 of it, web/app.10 has no number before
		m.now.Instances[i].Usage = &api.Usage{CPU: number(cpu), Memory: number(int64(i) << 20)}
	}
	m.now.Instances[2].Restarts = 9
	m.before.Instances[2].Usage = &api.Usage{CPU: number(1.0)}
	first := func() string { return strings.Fields(m.text()[2])[0] }
	for _, tt := range []struct{ keys, want string }{
		{"n", "db/pg.0"}, {"p", "web/app.10"}, {"c", "web/app.10"}, {"m", "web/app.10"}, {"r", "web/app.10"}, {"t", "web/app.9"},
		{"nx", "db/pg.0"},
	} {
		for _, key := range []byte(tt.keys) {
			m.press(key)
		}
		if got := first(); got != tt.want {
			t.Errorf("after %q the first is %s, want %s", tt.keys, got, tt.want)
		}
	}
	if got := m.cpu(m.now.Instances[2]); got != 100 {
		t.Errorf("two seconds in two are %v%%", got)
	}
	if got := m.cpu(m.now.Instances[0]); got != -1 {
		t.Errorf("nothing known is %v%%", got)
	}
	m.rows = 5 // two instances
	m.press('k')
	if got := first(); got != "db/pg.0" || m.from != 0 {
		t.Errorf("above the top: %s", got)
	}
	for range 9 {
		m.press('j')
		_ = m.text()
	}
	if got := first(); got != "web/app.10" || m.from != 2 {
		t.Errorf("at the bottom: %s, from %d", got, m.from)
	}
}

// Covers: R9
func TestMonitorFitsAnyScreen(t *testing.T) {
	m := &monitor{now: example(), key: 'n'}
	for _, size := range [][2]int{{24, 80}, {5, 20}, {3, 10}, {1, 1}, {0, 0}} {
		m.rows, m.columns = size[0], size[1]
		screen := m.screen()
		lines := strings.Split(screen, "\r\n")
		if len(lines) > max(size[0], 1) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			for _, control := range []string{"\x1b[H", "\x1b[K", "\x1b[J"} {
				l = strings.ReplaceAll(l, control, "")
			}
			if n := len([]rune(l)); n > max(size[1], 1) {
				t.Errorf("%v: %d columns: %q", size, n, l)
			}
		}
	}
	m = &monitor{err: errors.New("no\x1bdaemon"), rows: 24, columns: 80, key: 'n'}
	if got := m.text(); len(got) != 2 || got[0] != `cannot look: no\x1bdaemon` {
		t.Errorf("%q", got)
	}
}
