package main

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// identity is whom an image wants to run as.
type identity struct {
	uid, gid uint32
	home     string
	root     bool     // the image says root, or nothing
	groups   []string // others that the user is in, "NAME (GID)"
}

// maxAccounts is how much of /etc/passwd and /etc/group is read.
const maxAccounts = 64 << 20

// findIdentity understands USER, UID, USER:GROUP in all mixtures, by the image's
// own /etc/passwd and /etc/group: image-spec/config.md.
func findIdentity(root int, text string) (identity, error) {
	user, group, _ := strings.Cut(strings.TrimSpace(text), ":")
	var id identity
	if user == "" {
		user = "0"
	}
	passwd := account(root, "/etc/passwd", user)
	n, err := strconv.ParseUint(user, 10, 32)
	switch {
	case passwd != nil:
		id.uid, id.gid = number(passwd, 2), number(passwd, 3)
		if len(passwd) > 5 {
			id.home = passwd[5]
		}
	case err == nil:
		id.uid = uint32(n)
	default:
		return id, fmt.Errorf("the image wants to run as %q, which is not in its /etc/passwd", printable(user))
	}
	id.root = id.uid == 0
	if group == "" {
		if passwd != nil {
			id.groups = groupsOf(root, passwd[0], id.gid)
		}
		return id, nil
	}
	n, err = strconv.ParseUint(group, 10, 32)
	entry := account(root, "/etc/group", group)
	switch {
	case err == nil:
		id.gid = uint32(n)
	case entry != nil:
		id.gid = number(entry, 2)
	default:
		return id, fmt.Errorf("the image wants to run as the group %q, which is not in its /etc/group", printable(group))
	}
	return id, nil
}

// groupsOf lists the groups that a user is a member of, but for its own.
func groupsOf(root int, user string, own uint32) (groups []string) {
	for fields := range accounts(root, "/etc/group") {
		if len(fields) > 3 && number(fields, 2) != own && slices.Contains(strings.Split(fields[3], ","), user) {
			groups = append(groups, fmt.Sprintf("%s (%d)", printable(fields[0]), number(fields, 2)))
		}
	}
	return groups
}

func number(fields []string, i int) uint32 {
	if i >= len(fields) {
		return 0
	}
	n, _ := strconv.ParseUint(fields[i], 10, 32)
	return uint32(n)
}

// account finds the line with a name or a number, nil if there is none.
func account(root int, file, want string) []string {
	for fields := range accounts(root, file) {
		if fields[0] == want || len(fields) > 2 && fields[2] == want {
			return fields
		}
	}
	return nil
}

// accounts gives the lines of /etc/passwd or /etc/group in an image.
func accounts(root int, file string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		f, _, err := dirSource(root).open(file)
		if err != nil {
			return
		}
		defer f.Close()
		lines := bufio.NewReader(io.LimitReader(f, maxAccounts))
		for err == nil {
			var line string
			line, err = lines.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" && !yield(strings.Split(line, ":")) {
				return
			}
		}
	}
}

// defaultPath is the PATH of an image that sets none, as docker and containerd
// have it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookUp finds a program as execvp would: by PATH if there is no slash.
func lookUp(root int, program, workdir string, env []string) (string, error) {
	if program == "" {
		return "", fmt.Errorf("its name is empty")
	}
	if strings.HasPrefix(program, "/") {
		return program, executable(root, program)
	}
	if strings.Contains(program, "/") {
		full := strings.TrimSuffix(workdir, "/") + "/" + strings.TrimPrefix(program, "./")
		return full, executable(root, full)
	}
	path := defaultPath
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			path = p
		}
	}
	for dir := range strings.SplitSeq(path, ":") {
		if full := strings.TrimSuffix(dir, "/") + "/" + program; strings.HasPrefix(dir, "/") && executable(root, full) == nil {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s is not in the directories of PATH, %s", printable(program), printable(path))
}

func executable(root int, name string) error {
	fd, err := inroot.Open(root, name, unix.O_PATH, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", printable(name), err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return fmt.Errorf("%s is not executable", printable(name))
	}
	return nil
}
