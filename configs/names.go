package configs

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"lithos/configs/document"
)

// maxName bounds the names of sandboxes and processes, so that
// SANDBOX:PROCESS.INDEX.scope is a file name.
const maxName = 110

// checkSandboxName: letters, digits, underscore, dash and dot, not beginning
// with a dot or a dash. The name becomes part of file names, of cgroup names
// and of command lines.
func checkSandboxName(name string) error {
	if err := checkName(name, "."); err != nil {
		return err
	}
	if name[0] == '.' || name[0] == '-' {
		return document.Error("a sandbox name must not begin with a dot or a dash")
	}
	return nil
}

// checkProcessName: letters, digits, underscore and dash (requirement D11).
func checkProcessName(name string) error { return checkName(name, "") }

func checkName(name, more string) error {
	switch {
	case name == "":
		return document.Error("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name is longer than %d bytes", maxName)
	}
	for _, r := range name {
		if !isWord(r) && r != '-' && !strings.ContainsRune(more, r) {
			if more != "" {
				return fmt.Errorf("the name may have letters, digits, `_`, `-` and `.` in it, not %q", r)
			}
			return fmt.Errorf("the name may have letters, digits, `_` and `-` in it, not %q", r)
		}
	}
	return nil
}

func isWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// checkImageName: exactly levels normal path components (requirement C5).
func checkImageName(image string, levels int) error {
	if path.IsAbs(image) {
		return document.Error("an image is a path below image-dir, it must not begin with a slash")
	}
	for _, r := range image {
		if r < ' ' || r == 0x7f {
			return document.Error("an image name must not have control characters in it")
		}
	}
	parts := strings.Split(image, "/")
	for _, p := range parts {
		if p == "" || p == "." || p == ".." {
			return document.Error("each component of an image name must be a directory name, not empty, `.` or `..`")
		}
	}
	if len(parts) != levels {
		return fmt.Errorf("an image name must have exactly %d component%s (image-dir-levels), this has %d",
			levels, plural(levels), len(parts))
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// sortedBy orders a list by a key.
func sortedBy[T any, K cmp.Ordered](list []T, key func(T) K) []T {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return list
}
