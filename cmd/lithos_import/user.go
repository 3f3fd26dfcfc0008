package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// identity is whom an image wants to run as.
type identity struct {
	uid, gid uint32
	home     string
	root     bool // the image says root, or nothing
}

// maxAccounts is how much of /etc/passwd and /etc/group is read.
const maxAccounts = 4 << 20

// findIdentity understands USER, UID, USER:GROUP in all mixtures, by the image's
// own /etc/passwd and /etc/group.
func findIdentity(root int, text string) (identity, error) {
	user, group, hasGroup := strings.Cut(strings.TrimSpace(text), ":")
	var id identity
	if user == "" {
		user = "0"
	}
	passwd := accounts(root, "/etc/passwd", user, 2)
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
	if hasGroup && group != "" {
		entry := accounts(root, "/etc/group", group, 2)
		n, err := strconv.ParseUint(group, 10, 32)
		switch {
		case err == nil:
			id.gid = uint32(n)
		case entry != nil:
			id.gid = number(entry, 2)
		default:
			return id, fmt.Errorf("the image wants to run as the group %q, which is not in its /etc/group", printable(group))
		}
	}
	id.root = id.uid == 0
	return id, nil
}

func number(fields []string, i int) uint32 {
	if i >= len(fields) {
		return 0
	}
	n, _ := strconv.ParseUint(fields[i], 10, 32)
	return uint32(n)
}

// accounts finds the line of a name or a number, nil if there is none.
func accounts(root int, file, want string, column int) []string {
	f, err := openIn(root, file)
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxAccounts))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if fields[0] == want || column < len(fields) && fields[column] == want {
			return fields
		}
	}
	return nil
}

// openIn opens a regular file in an image.
func openIn(root int, name string) (io.ReadCloser, error) {
	f, _, err := dirSource(root).open(name)
	return f, err
}

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
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
