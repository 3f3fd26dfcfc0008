package reference

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lithos/configs"
)

// optionInProse is an option as pages write one: `kill-timeout`, or with its
// value, `log-format: json`. A word without a hyphen may be anything.
var optionInProse = regexp.MustCompile("`([a-z]+(?:-[a-z]+)+)(?:: [^`]*)?`")

// notOptions are words of that form that are something else.
var notOptions = map[string]string{
	"sysrq-trigger": "a file of /proc",
	"check-key":     "a command of lithos_crypt",
	"nginx-light":   "a package",
	"dumb-init":     "a program of images",
}

// Each option that a page names exists.
func TestPagesNameOnlyOptionsThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, name := range names {
		for _, o := range all(configs.Describe(name)) {
			known[o.Key], known[o.Old] = true, true
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, m := range optionInProse.FindAllStringSubmatch(line, -1) {
				found++
				if !known[m[1]] && notOptions[m[1]] == "" {
					t.Errorf("%s:%d: there is no option %s", page, n+1, m[1])
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d options were found in the pages", found)
	}
}
