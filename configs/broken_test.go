package configs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is told of testdata/broken into the files there")

// TestBrokenHostsGiveTheExpectedProblems loads each host in testdata/broken. A file there
// says what it is about, then has the files of the host, each after a line
// `-- NAME --`, and at last what is told, one problem a line; HOST is the
// directory of the host. `-- NAME -> TARGET --` is a symlink, `-- NAME | --` a
// FIFO.
//
// Covers: A5, D12
func TestBrokenHostsGiveTheExpectedProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(data)
			head, want, _ := strings.Cut(text, "-- problems --\n")
			tree := parseArchive(head)
			dir := writeTree(t, tree)
			for _, sub := range []string{"sandboxes", "processes"} {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			plan, problems := Load(Options{MasterFile: filepath.Join(dir, "master.yaml")})
			checkBreakage(t, plan, problems)
			got := strings.ReplaceAll(format(problems.Distinct()), dir, "HOST")
			if *update {
				writeFile(t, file, head+"-- problems --\n"+got)
				return
			}
			if got != want {
				t.Errorf("told is\n%swant\n%s", got, want)
			}
			if want == "" {
				t.Error("nothing is expected to be told")
			}
		})
	}
}

// parseArchive reads files, each after a line `-- NAME --`.
func parseArchive(text string) map[string]string {
	files, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			files[name] = ""
		} else if name != "" {
			files[name] += line
		}
	}
	return files
}
