package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	tabStop = 8
	// around is how many runes before and after the column are looked at;
	// a line may have a million.
	around = 500
	cut    = "…"
)

// cell is one thing on the terminal: what to write and how wide it is.
type cell struct {
	text  string
	width int
}

// excerpt is the part of a line around a column, counted from 1 in runes, that
// fits into width, and how many blanks are before the caret.
func excerpt(line string, column, width int) (text string, caret int) {
	begin, end := window(line, column)
	cells, at := layout(line[begin:end], column-1-utf8.RuneCountInString(line[:begin]))
	return fit(cells, at, width, begin > 0, end < len(line))
}

// window gives the bytes of a line near a column.
func window(line string, column int) (begin, end int) {
	n := 0
	for i := range line {
		n++
		if n == column-around {
			begin = i
		}
		if n == column+around {
			return begin, i
		}
	}
	return begin, len(line)
}

// layout says how a text looks on a terminal, tabs and all that a terminal
// would act on replaced, and in which cell the rune of an index is.
func layout(s string, index int) (cells []cell, at int) {
	x, n := 0, 0
	at = -1
	for i, r := range s {
		if n == index {
			at = len(cells)
		}
		n++
		var c cell
		switch {
		case r == '\t':
			c = cell{strings.Repeat(" ", tabStop-x%tabStop), tabStop - x%tabStop}
		case invalid(s[i:], r) || !unicode.IsPrint(r):
			escaped := escape(s[i:], r)
			c = cell{escaped, len(escaped)}
		default:
			c = cell{string(r), runeWidth(r)}
		}
		x += c.width
		cells = append(cells, c)
	}
	if at < 0 {
		at = len(cells) // behind the end
	}
	return cells, at
}

// invalid tells whether r stands for a byte that is no UTF-8.
func invalid(s string, r rune) bool {
	return r == utf8.RuneError && !strings.HasPrefix(s, "\ufffd")
}

const hexDigits = "0123456789abcdef"

// escape writes a rune, or a byte that is no UTF-8, as Go and YAML do.
func escape(s string, r rune) string {
	digits, prefix := 8, `\U`
	switch {
	case invalid(s, r):
		r, digits, prefix = rune(s[0]), 2, `\x`
	case r < 0x80:
		digits, prefix = 2, `\x`
	case r < 0x10000:
		digits, prefix = 4, `\u`
	}
	b := []byte(prefix)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[r>>shift&0xf])
	}
	return string(b)
}

// fit clips what is left and right of a width, so that the cell of the caret is
// in it with something on both sides.
func fit(cells []cell, at, width int, before, after bool) (string, int) {
	widthOf := func(list []cell) (n int) {
		for _, c := range list {
			n += c.width
		}
		return n
	}
	begin, end := 0, len(cells)
	room := width - 1 // for a caret behind the end
	if widthOf(cells) > room || before || after {
		room -= 2 // for the two marks
		begin, end = at, at
		left := 0
		for begin > 0 && left+cells[begin-1].width <= room*2/3 {
			begin--
			left += cells[begin].width
		}
		used := left
		for end < len(cells) && used+cells[end].width <= room {
			used += cells[end].width
			end++
		}
		for begin > 0 && used+cells[begin-1].width <= room {
			begin--
			used += cells[begin].width
		}
	}
	var b strings.Builder
	caret := widthOf(cells[begin:at])
	if begin > 0 || before {
		b.WriteString(cut)
		caret++
	}
	for _, c := range cells[begin:end] {
		b.WriteString(c.text)
	}
	if end < len(cells) || after {
		b.WriteString(cut)
	}
	return b.String(), caret
}

// wide are the blocks whose characters take two columns (Unicode's East Asian
// Width, W and F), coarsely.
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x2329, 0x232a}, {0x23e9, 0x23f3},
	{0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},
	{0x2705, 0x2705}, {0x270a, 0x270b}, {0x274c, 0x274c}, {0x2753, 0x2755},
	{0x2e80, 0x303e}, {0x3041, 0x4dbf}, {0x4e00, 0xa4cf}, {0xa960, 0xa97f},
	{0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	for _, block := range wide {
		if block[0] <= r && r <= block[1] {
			return 2
		}
	}
	return 1
}
