package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lithos/configs"
	"lithos/configs/report"
)

// refresh is how often --monitor looks.
const refresh = time.Second

// The alternate screen, without a cursor, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// monitor is the screen of --monitor: a line for each instance.
type monitor struct {
	view          view
	rows, columns int
	key           byte // the order of the rows, see orders
	from          int  // the first instance that is shown
	now, before   *snapshot
	err           error
}

// orders are the keys and their sort orders; the largest first, but for names.
var orders = map[byte]func(m *monitor, a, b *row) int{
	'n': func(_ *monitor, a, b *row) int { return 0 }, // as they are
	'p': func(_ *monitor, a, b *row) int { return cmp.Compare(b.PID, a.PID) },
	'c': func(m *monitor, a, b *row) int { return cmp.Compare(m.cpu(b), m.cpu(a)) },
	'm': func(_ *monitor, a, b *row) int { return cmp.Compare(used(b), used(a)) },
	't': func(_ *monitor, a, b *row) int { return cmp.Compare(b.Threads, a.Threads) },
	'r': func(_ *monitor, a, b *row) int { return cmp.Compare(b.Restarts, a.Restarts) },
}

const keysHelp = "sort: n name, p pid, c CPU, m memory, t threads, r restarts; j, k: scroll; q: quit"

// runMonitor shows everything until q, or a signal that ends programs.
func runMonitor(o *options, master *configs.Master, stdout *os.File) error {
	p := report.For(stdout)
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if _, sizeErr := unix.IoctlGetWinsize(int(stdout.Fd()), unix.TIOCGWINSZ); err != nil || sizeErr != nil {
		return errors.New("--monitor needs a terminal; lithos_ps without it can be written anywhere")
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)

	quiet := *before
	quiet.Lflag &^= unix.ICANON | unix.ECHO
	quiet.Cc[unix.VSUSP] = 0 // the shell would get this screen
	if err := unix.IoctlSetTermios(0, unix.TCSETS, &quiet); err != nil {
		return err
	}
	defer func() { _ = unix.IoctlSetTermios(0, unix.TCSETS, before) }()
	fmt.Fprint(stdout, enterScreen)
	defer fmt.Fprint(stdout, leaveScreen)

	m := &monitor{view: view{color: o.colored(p.Color)}, key: 'n'}
	keys := readKeys()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for m.look(ctx, o, master); ; {
		if size, err := unix.IoctlGetWinsize(int(stdout.Fd()), unix.TIOCGWINSZ); err == nil {
			m.rows, m.columns = int(size.Row), int(size.Col)
		}
		if _, err := fmt.Fprint(stdout, m.screen()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case <-ticker.C:
			m.look(ctx, o, master)
		case key, ok := <-keys:
			if !ok || key == 'q' {
				return nil
			}
			m.press(key)
		}
	}
}

// readKeys returns the typed keys; it is closed when the terminal is gone.
func readKeys() <-chan byte {
	keys := make(chan byte)
	go func() {
		defer close(keys)
		one := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(one); err != nil || n == 0 {
				return
			}
			keys <- one[0]
		}
	}()
	return keys
}

// look takes another snapshot; after an error the last one stays.
func (m *monitor) look(ctx context.Context, o *options, master *configs.Master) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := take(ctx, master)
	if err == nil {
		err = s.choose(o.filters)
	}
	if m.err = err; err == nil {
		m.before, m.now = m.now, s
	}
}

func (m *monitor) press(key byte) {
	switch {
	case orders[key] != nil:
		m.key, m.from = key, 0
	case key == 'j':
		m.from++
	case key == 'k':
		m.from--
	}
}

// cpu is what an instance uses of one processor between two looks, in percent;
// -1 = not known yet.
func (m *monitor) cpu(r *row) float64 {
	if m.before == nil || r.Usage == nil || r.Usage.CPU == nil {
		return -1
	}
	for _, old := range m.before.Instances {
		if old.Name != r.Name || old.PID != r.PID || old.Usage == nil || old.Usage.CPU == nil {
			continue
		}
		if spent := m.now.At.Sub(m.before.At).Seconds(); spent > 0 {
			return max(0, 100*(*r.Usage.CPU-*old.Usage.CPU)/spent)
		}
	}
	return -1
}

func used(r *row) int64 {
	if r.PID == 0 || r.Usage == nil || r.Usage.Memory == nil {
		return 0
	}
	return *r.Usage.Memory
}

// screen is the whole of it, each line cut to the width.
func (m *monitor) screen() string {
	m.view.width = max(m.columns, 1)
	var b strings.Builder
	b.WriteString("\x1b[H")
	text := m.text()
	for i, l := range text {
		b.WriteString(l + "\x1b[K")
		if i < len(text)-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// text has at most as many lines as there are rows.
func (m *monitor) text() []string {
	top := ""
	switch {
	case m.err != nil:
		top = clean("cannot look: " + m.err.Error())
	case m.now != nil:
		top = heading(m.now)
	}
	text := []string{m.view.clip(top)}
	if m.now != nil {
		text = append(text, m.table(max(m.rows-3, 0))...)
	}
	text = append(text, m.view.clip(keysHelp))
	return text[:min(len(text), max(m.rows, 1))]
}

// table is the title and at most n instances.
func (m *monitor) table(n int) []string {
	rows := slices.Clone(m.now.Instances)
	slices.SortStableFunc(rows, func(a, b *row) int { return orders[m.key](m, a, b) })
	m.from = max(0, min(m.from, len(rows)-n))
	rows = rows[m.from:min(len(rows), m.from+n)]
	lines := []line{{name: "NAME", cells: []string{"STATE", "PID", "CPU%", "THR", "PRC", "MEM", "RESTARTS", ""}}}
	for _, r := range rows {
		l := line{name: clean(r.Name), color: stateColor(r), cells: make([]string, len(titles))}
		l.cells[0] = strings.Join(append([]string{r.State}, r.Conditions...), ", ")
		if r.PID != 0 {
			l.cells[1], l.cells[3] = strconv.Itoa(r.PID), strconv.Itoa(r.Threads)
			if cpu := m.cpu(r); cpu >= 0 {
				l.cells[2] = strconv.FormatFloat(cpu, 'f', 1, 64)
			}
			if r.Usage != nil && r.Usage.Processes != nil {
				l.cells[4] = strconv.FormatInt(*r.Usage.Processes, 10)
			}
		}
		l.cells[5], l.cells[6], l.cells[7] = memory(r), strconv.Itoa(r.Restarts), note(m.now, r)
		lines = append(lines, l)
	}
	var b strings.Builder
	m.view.table(&b, lines)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
