package process

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/process-states.md anew")

func TestDiagramIsCurrent(t *testing.T) {
	const path = "../../docs/process-states.md"
	if *update {
		if err := os.WriteFile(path, []byte(Diagram()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Diagram() {
		t.Errorf("%s is not what the table says; write it with: go test ./actors/process -run Diagram -update", path)
	}
}
