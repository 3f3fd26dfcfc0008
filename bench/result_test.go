package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func testResult() *Result {
	r := &Result{Date: "2026-11-24T00:00:00Z", Commit: "abc", Versions: map[string]string{}}
	r.add("start", limitName, "ms", 1, 2, 3)
	r.add("start", ours, "ms", 4, 2.5, 3)
	r.add("idle-wakeups-1000", ours, "wakeups/min", 0)
	return r
}

func TestTableOfGoals(t *testing.T) {
	page, err := between("head\n"+markBegin+"\nold\n"+markEnd+"\ntail\n", testResult().goalTable())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"head\n" + markBegin, markEnd + "\ntail\n",
		"| start and end of a whole container, to the limit's | ≤ 1.5 × | 1.5 × | yes |\n",
		"| the same, in the end | ≤ 1.1 × | 1.5 × | no |\n",
		"| `lithos_ps` of 1,000 | ≤ 100 ms | not measured |  |\n",
		"with 1,000 containers | ≤ 0 wake-ups | 0 wake-ups | yes |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "old") {
		t.Error("the old table is still there")
	}
	if again, err := between(page, testResult().goalTable()); err != nil || again != page {
		t.Errorf("a second time it is another page (%v)", err)
	}
	if _, err := between("no markers", ""); err == nil {
		t.Error("a page without markers was taken")
	}
}

func TestQuantiles(t *testing.T) {
	s := testResult().find("start", ours)
	if s.Median != 3 || s.Low != 2.5 || s.High != 4 || s.P99 != 4 {
		t.Errorf("got %+v", s)
	}
}

func TestLinesAreBenchstats(t *testing.T) {
	if text := testResult().lines(); !strings.Contains(text, "\nBenchmarkStart/subject=lithos 1 2.5 ms\n") {
		t.Error(text)
	}
}

func TestPlotIsXML(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(testResult().plot()))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompact(t *testing.T) {
	if got := string(compact([]byte("{\"a\": [\n  1,\n  2.5\n ]}"))); got != `{"a": [1,2.5]}` {
		t.Error(got)
	}
}
