package catalog

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write docs/programs.md and configs/inspect/traits.json")

func load(t *testing.T) []*Row {
	t.Helper()
	rows, err := Load("../../../examples/programs")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestPageIsWhatTheRowsSay(t *testing.T) {
	const page = "../../../docs/programs.md"
	want := Page(load(t))
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("%s is not what examples/programs says (%v): go test ./cmd/internal/catalog -update", page, err)
	}
}

func TestTraitsAreWhatTheRowsSay(t *testing.T) {
	const file = "../../../configs/inspect/traits.json"
	want, err := json.MarshalIndent(Traits(load(t)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("%s is not what examples/programs says (%v): go test ./cmd/internal/catalog -update", file, err)
	}
}

func TestRowsOfOneProgramThatDifferWarnOfNothing(t *testing.T) {
	row := func(ends string, seconds int, how string) *Row {
		return &Row{Program: "it", Match: Match{Executable: "it"}, Seen: Seen{
			Socket: Socket{How: how}, Notify: "nothing", Stop: map[string]Ending{"TERM": {Ends: ends, Seconds: seconds}}}}
	}
	all := Traits([]*Row{row("exit 1", 9, "not taken"), row("exit 0", 7, "not taken"), row("exit 1", 20, "activation")})
	if len(all) != 1 || all[0].Exit != 0 || all[0].StopSeconds != 7 || all[0].OwnSocket || !all[0].Silent {
		t.Errorf("they are %+v", all)
	}
}

func TestEachRowHasBeenSeen(t *testing.T) {
	inCI := 0
	for _, r := range load(t) {
		if r.Seen.User == "" || r.Seen.Version == "" || len(r.Seen.Stop) == 0 {
			t.Errorf("%s: nothing was seen; run it with -update", r.Name)
		}
		if r.CI {
			inCI++
		}
	}
	if inCI < 12 {
		t.Errorf("%d rows are run in CI", inCI)
	}
}

func TestWriteSeenReplacesTheEndOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.yaml")
	const text = "# a comment stays\nprogram: one\ndebian: [one]\nport: 80\ncontainer: |\n  executable: /bin/one\nclient: {http: /}\n"
	if err := os.WriteFile(path, []byte(text+"seen:\n  version: old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.Seen.Version != "old" {
		t.Errorf("it had seen %+v", r.Seen)
	}
	if err := r.WriteSeen(Seen{Version: "new", User: "33", Stop: map[string]Ending{"TERM": {Ends: "exit 0"}}}); err != nil {
		t.Fatal(err)
	}
	again, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Seen.Version != "new" || again.Seen.User != "33" || again.Seen.Stop["TERM"].Ends != "exit 0" {
		t.Errorf("it has seen %+v", again.Seen)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got)[:len(text)] != text {
		t.Errorf("the beginning is changed:\n%s", got)
	}
}

func TestRowsWithoutWhatIsNeededAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no packages":   "program: one\nport: 80\ncontainer: 'executable: /bin/one'\nclient: {http: /}\n",
		"no client":     "program: one\ndebian: [one]\nport: 80\ncontainer: 'executable: /bin/one'\n",
		"unknown key":   "program: one\ndebian: [one]\nport: 80\ncontainer: 'executable: /bin/one'\nclient: {http: /}\nclinet: 1\n",
		"half a byte":   "program: one\ndebian: [one]\nport: 80\ncontainer: 'executable: /bin/one'\nclient: {send: 'hex: 0'}\n",
		"ci by another": "program: one\nci: true\ndebian: [one]\npypi: [two]\nport: 80\ncontainer: 'executable: /bin/one'\nclient: {http: /}\n",
	} {
		path := filepath.Join(t.TempDir(), "one.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path); err == nil {
			t.Errorf("%s: it is accepted", name)
		}
	}
}
