package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lithos/configs"
	"lithos/configs/inspect"
	"lithos/configs/report"
)

// The program reports of each broken host of the configs' corpus what
// configs.Load finds there, in that order, and of the files of that host no more
// than Load and Inspect do.
//
// Covers: A5, D12, R4
func TestBrokenCorpusByTheProgram(t *testing.T) {
	files, err := filepath.Glob("../../configs/testdata/broken/*.txt")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			dir := unpackBroken(t, file)
			master := filepath.Join(dir, "master.yaml")
			plan, problems := configs.Load(configs.Options{MasterFile: master, Excerpts: true})
			want := sorted(problems)
			inspected := want
			if plan != nil { // problems of images are found beside it
				inspected = sorted(append(problems, inspect.Plan(plan)...))
			}

			code, stdout, stderr := checked(t, "-C", master, "--json")
			var told struct {
				OK       bool             `json:"ok"`
				Problems []report.Problem `json:"problems"`
			}
			if err := json.Unmarshal([]byte(stdout), &told); err != nil {
				t.Fatalf("%v\n%s", err, stdout)
			}
			if stderr != "" {
				t.Errorf("beside the JSON: %s", stderr)
			}
			if problems.HasErrors() && (code != exitErrors || told.OK) {
				t.Errorf("exit code %d, ok is %v", code, told.OK)
			}
			// The problems of Load must be there unchanged, in their order.
			rest := told.Problems
			for _, w := range want {
				i := 0
				for i < len(rest) && !same(t, rest[i], w) {
					i++
				}
				if i == len(rest) {
					t.Fatalf("not told, or out of order: %+v\nof %s", w, stdout)
				}
				rest = rest[i+1:]
			}
			for _, p := range told.Problems {
				if inFile(p, dir) && !contains(t, inspected, p) {
					t.Errorf("told, but neither Load nor Inspect finds it: %+v", p)
				}
			}
		})
	}
}

func sorted(problems configs.Problems) []report.Problem {
	problems = append(configs.Problems(nil), problems...)
	problems.Sort()
	return report.Problems(problems.Distinct())
}

// inFile tells whether a problem is in a config of the host; the others are of
// the machine, such as a directory that is missing.
func inFile(p report.Problem, dir string) bool {
	return strings.HasPrefix(p.File, dir+"/") && strings.HasSuffix(p.File, ".yaml") && p.Line > 0
}

func contains(t *testing.T, list []report.Problem, p report.Problem) bool {
	for _, l := range list {
		if same(t, l, p) {
			return true
		}
	}
	return false
}

func same(t *testing.T, a, b report.Problem) bool {
	t.Helper()
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	return bytes.Equal(x, y)
}

// unpackBroken writes the files of one host of the corpus, as
// configs/broken_test.go describes them.
func unpackBroken(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	head, _, _ := strings.Cut(string(data), "-- problems --\n")
	texts, name := map[string]string{"sandboxes/.keep": "", "processes/.keep": ""}, ""
	for line := range strings.Lines(head) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			texts[name] = ""
		} else if name != "" {
			texts[name] += line
		}
	}
	for name, text := range texts {
		name, target, link := strings.Cut(name, " -> ")
		name, fifo := strings.CutSuffix(name, " |")
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		switch {
		case link:
			err = os.Symlink(target, to)
		case fifo:
			err = syscall.Mkfifo(to, 0o644)
		default:
			err = os.WriteFile(to, []byte(strings.ReplaceAll(text, "HOST", dir)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
