package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot draws the medians of all benchmarks as bars on a logarithmic scale, with
// a line from quartile to quartile.
func (r *Result) plot() string {
	const left, width, row = 190.0, 420.0, 16.0
	var b strings.Builder
	y := 40.0
	for _, name := range r.benches() {
		fmt.Fprintf(&b, "<text x='10' y='%.0f' font-weight='bold'>%s</text>\n", y+11, html.EscapeString(name+", "+r.of(name)[0].Unit))
		y += row
		low, high := extent(r.of(name))
		for _, s := range r.of(name) {
			x := func(v float64) float64 { return left + scaled(v, low, high)*width }
			fmt.Fprintf(&b, "<text x='%.0f' y='%.0f' text-anchor='end'>%s</text>\n", left-6, y+11, html.EscapeString(s.Subject))
			fmt.Fprintf(&b, "<rect x='%.0f' y='%.0f' width='%.1f' height='%.0f' fill='%s'/>\n", left, y+2, x(s.Median)-left, row-5, colour(s.Subject))
			fmt.Fprintf(&b, "<line x1='%.1f' x2='%.1f' y1='%.0f' y2='%[3]f' stroke='black'/>\n", x(s.Low), x(s.High), y+row/2)
			fmt.Fprintf(&b, "<text x='%.1f' y='%.0f'>%s</text>\n", math.Max(x(s.High), x(s.Median))+5, y+11, digits(s.Median))
			y += row
		}
		y += row / 2
	}
	head := fmt.Sprintf("%s, commit %s, %s, %d CPUs, Linux %s: medians and quartiles, logarithmic",
		r.Date[:10], r.Commit, r.Machine.CPU, r.Machine.CPUs, r.Machine.Kernel)
	return fmt.Sprintf("<svg xmlns='http://www.w3.org/2000/svg' width='700' height='%.0f' font-family='sans-serif' font-size='11'>\n"+
		"<rect width='100%%' height='100%%' fill='white'/>\n<text x='10' y='20'>%s</text>\n%s</svg>\n", y+10, html.EscapeString(head), b.String())
}

// extent is the range that all values of a benchmark lie in, zero left out.
func extent(list []*Series) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, s := range list {
		for _, v := range []float64{s.Low, s.Median, s.High} {
			if v > 0 {
				low, high = math.Min(low, v), math.Max(high, v)
			}
		}
	}
	// The shortest bar is to be seen, too.
	return low / 2, high
}

// scaled is where v lies in the range, from 0 to 1.
func scaled(v, low, high float64) float64 {
	if v <= low || high <= low {
		return 0
	}
	return math.Log(v/low) / math.Log(high/low)
}

func colour(subject string) string {
	switch {
	case subject == limitName:
		return "#999"
	case subject == reference || strings.HasPrefix(subject, reference+"_"):
		return "#e9a"
	case strings.HasPrefix(subject, ours):
		return "#48c"
	}
	return "#cc9"
}
