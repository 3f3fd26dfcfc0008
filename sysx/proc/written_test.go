package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestHas(t *testing.T) {
	dir := t.TempDir()
	var files [2]*os.File
	var infos [2]os.FileInfo
	for i, name := range []string{"one", "two"} {
		var err error
		if files[i], err = os.Create(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		defer files[i].Close()
		if infos[i], err = files[i].Stat(); err != nil {
			t.Fatal(err)
		}
	}
	in, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = in, files[0], []*os.File{in, files[1]}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	for _, c := range []struct {
		fd, file int
		want     bool
	}{{1, 0, true}, {1, 1, false}, {4, 1, true}, {4, 0, false}, {3, 0, false}, {99, 0, false}} {
		if got := Has(pid, c.fd, infos[c.file]); got != c.want {
			t.Errorf("descriptor %d is file %d: %v", c.fd, c.file, got)
		}
	}
	if !Prints(pid, infos[0]) || Prints(pid, infos[1]) {
		t.Error("the file that it prints to is not told from another")
	}
	_ = hold.Close()
	_ = cmd.Wait()
	if Has(pid, 1, infos[0]) {
		t.Error("a process that is gone has a file")
	}
}
