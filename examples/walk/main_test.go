package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestPages(t *testing.T) {
	for _, tt := range []struct{ name, page, want string }{
		{"commands", "text\n```sh\necho a\n  echo b\n```\n```text\na\n…\n```\n", ""},
		{"anything in a line", "```sh\necho a 17 b\n```\nprints\n```text\na … b\n```\n", ""},
		{"a command that fails", "```sh\nfalse\n```\n", "line 2: exit status 1"},
		{"an unknown block", "```go\n```\n", `line 1: a block of the kind "go"`},
		{"no end", "```sh\n", "does not end"},
		{"nothing", "words\n", "nothing to do"},
		{"output of nothing", "```text\na\n```\n", "no commands before it"},
		{"a file without a path", "```yaml\na: b\n```\n", "begins with the path"},
	} {
		w := walk{start: time.Now(), out: io.Discard}
		blocks, err := read(strings.NewReader(tt.page))
		if err == nil {
			err = w.page(blocks)
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}
