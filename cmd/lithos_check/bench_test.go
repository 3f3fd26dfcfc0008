package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(b testing.TB, file, text string, mode os.FileMode) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		b.Fatal(err)
	}
}

// static is as much of a static program of this machine as is looked at.
func static(b testing.TB) string {
	b.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		b.Fatal(err)
	}
	const header, entry = 64, 56
	head := append(self[:header:header], 1) // one entry, PT_LOAD
	head = append(head, make([]byte, entry-1)...)
	binary.LittleEndian.PutUint64(head[32:], header)
	binary.LittleEndian.PutUint16(head[56:], 1)
	return string(head)
}

// bigHost is a host of a thousand processes in ten sandboxes, which have so
// many images together.
func bigHost(b testing.TB, images int) string {
	dir := b.TempDir()
	program := static(b)
	for i := range images {
		image := fmt.Sprintf("%s/images/v%d", dir, i)
		for _, sub := range []string{"dev", "proc", "sys", "tmp", "db"} {
			if err := os.MkdirAll(filepath.Join(image, sub), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		write(b, image+"/usr/bin/app", program, 0o755)
		if err := os.Symlink("usr/bin", image+"/bin"); err != nil {
			b.Fatal(err)
		}
		write(b, image+"/script", "#!/bin/app\n", 0o755)
		write(b, image+"/config/app.yaml", `executable: /script
variables: {port: !TcpPort , mode: !Choice [fast, slow]}
arguments: ["--port=@{port}", "--mode=@{mode}", "--name=@{lithos:name}"]
environ: {LANG: C.UTF-8, HOME: /, PORT: "@{port}"}
volumes: {/tmp: !Tmpfs {size: 10Mi}, /db: !Persistent /db}
tcp-ports: {"@{port}": {fd: 3}}
`, 0o644)
	}
	for _, sub := range []string{"dev/pts", "db", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	write(b, dir+"/master.yaml", fmt.Sprintf("devfs-dir: %s/dev\ndefault-log-dir: %[1]s/log\nconfig-log-dir: null\nstdio-log-dir: %[1]s/log\n", dir), 0o644)
	for s := range 10 {
		write(b, fmt.Sprintf("%s/sandboxes/s%d.yaml", dir, s), fmt.Sprintf(
			"image-dir: %s/images\nallow-users: [1-1000]\nallow-groups: [0-1000]\ndefault-user: 1\nallow-tcp-ports: [1-65535]\nwritable-paths: {/db: %[1]s/db}\n", dir), 0o644)
		var text strings.Builder
		for p := range 100 {
			fmt.Fprintf(&text, "p%d: {image: v%d, config: /config/app.yaml, variables: {port: %d, mode: fast}}\n", p, (s*100+p)%images, 1000+p)
		}
		write(b, fmt.Sprintf("%s/processes/s%d.yaml", dir, s), text.String(), 0o644)
	}
	return dir + "/master.yaml"
}

func BenchmarkCheck1000Processes(b *testing.B)            { benchmarkCheck(b, 1) }
func BenchmarkCheck1000ProcessesOf100Images(b *testing.B) { benchmarkCheck(b, 100) }
func BenchmarkCheck1000ProcessesAndImages(b *testing.B)   { benchmarkCheck(b, 1000) }

func benchmarkCheck(b *testing.B, images int) {
	o := &options{config: bigHost(b, images)}
	b.ReportAllocs()
	for b.Loop() {
		var r result
		r.checkHost(o)
		for _, p := range r.problems {
			// The programs are not beside this one, nor need its name resolve.
			if strings.HasPrefix(p.File, filepath.Dir(o.config)) && !strings.Contains(p.Text, "null") {
				b.Fatal(p)
			}
		}
	}
}
