package cmd

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	requirement = regexp.MustCompile(`(?m)^- ([A-Z]\d{1,2}): \S`)
	coversLine  = regexp.MustCompile(`(?m)^\s*// Covers: (.*)$`)
	oneID       = regexp.MustCompile(`^[A-Z]\d{1,2}$`)
)

// page reads a page of docs/.
func page(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// listed returns the ids that a page lists, and reports each that it has twice.
func listed(t *testing.T, name string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, m := range requirement.FindAllStringSubmatch(page(t, name), -1) {
		if ids[m[1]] {
			t.Errorf("docs/%s has %s twice", name, m[1])
		}
		ids[m[1]] = true
	}
	return ids
}

// covered maps each id in a line "Covers:" to a file that has it, and reports
// lines of another form.
func covered(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		body, err := os.ReadFile("../" + s.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range coversLine.FindAllStringSubmatch(string(body), -1) {
			for id := range strings.SplitSeq(m[1], ", ") {
				if !oneID.MatchString(id) {
					t.Errorf("%s: %q in %q is no id", s.path, id, m[0])
				}
				ids[id] = s.path
			}
		}
	}
	return ids
}

// notCovered are the ids that docs/requirements.md calls open.
func notCovered(t *testing.T) []string {
	t.Helper()
	_, open, found := strings.Cut(page(t, "requirements.md"), "## Not covered\n")
	if !found {
		t.Fatal("docs/requirements.md has no section Not covered")
	}
	return slices.DeleteFunc(strings.Fields(open), func(word string) bool { return !oneID.MatchString(word) })
}

func TestEveryRequirementIsCovered(t *testing.T) {
	all, covers, untestable, open := listed(t, "requirements.md"), covered(t), listed(t, "untestable.md"), notCovered(t)
	for id, path := range covers {
		if !all[id] {
			t.Errorf("%s covers %s, which docs/requirements.md does not have", path, id)
		}
	}
	for _, id := range open {
		if id[0] != 'X' {
			t.Errorf("%s is called not covered: only points of s6-overlay may be", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		path, isCovered := covers[id]
		switch isOpen := slices.Contains(open, id); {
		case isOpen && isCovered:
			t.Errorf("%s is called not covered, and %s covers it", id, path)
		case !isOpen && !isCovered && !untestable[id]:
			t.Errorf("no test covers %s, and docs/untestable.md does not list it", id)
		}
	}
	for id := range untestable {
		if !all[id] {
			t.Errorf("docs/untestable.md lists %s, which docs/requirements.md does not have", id)
		}
		if path, isCovered := covers[id]; isCovered {
			t.Errorf("docs/untestable.md lists %s, and %s covers it", id, path)
		}
	}
}
