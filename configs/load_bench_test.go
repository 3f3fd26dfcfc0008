package configs

import (
	"fmt"
	"strings"
	"testing"

	"lithos/configs/document"
)

// bigHost is a host of a thousand processes in ten sandboxes. They have images
// of their own; distinct tells whether the container configs in them differ.
func bigHost(t testing.TB, distinct bool) string {
	base := hostConfig{container: `
variables: {port: !TcpPort , mode: !Choice [fast, slow]}
memory-limit: 100Mi
arguments: ["--port=@{port}", "--mode=@{mode}", "--name=@{lithos:name}"]
environ: {LANG: C.UTF-8, HOME: /, PATH: /bin, PORT: "@{port}"}
volumes: {/tmp: !Tmpfs {size: 10Mi}, /db: !Persistent /db/x}
tcp-ports: {"@{port}": {fd: 3}}
`}.files()
	files := map[string]string{"master.yaml": ""}
	for s := range 10 {
		files[fmt.Sprintf("sandboxes/s%d.yaml", s)] = base["sandboxes/web.yaml"] + "writable-paths: {/db: /srv/db}\n"
		var b strings.Builder
		for p := range 100 {
			fmt.Fprintf(&b, "p%d:\n  kind: Daemon\n  image: s%dp%d\n  config: /config/app.yaml\n  instances: 1\n  variables: {port: %d, mode: fast}\n", p, s, p, 1000+p)
			text := base["images/v1/config/app.yaml"]
			if distinct {
				text += fmt.Sprintf("cpu-shares: %d\n", 1+s*100+p)
			}
			files[fmt.Sprintf("images/s%dp%d/config/app.yaml", s, p)] = text
		}
		files[fmt.Sprintf("processes/s%d.yaml", s)] = b.String()
	}
	return writeTree(t, files)
}

func BenchmarkLoad1000Processes(b *testing.B)       { benchmarkLoad(b, bigHost(b, false)) }
func BenchmarkLoad1000DistinctConfigs(b *testing.B) { benchmarkLoad(b, bigHost(b, true)) }

func benchmarkLoad(b *testing.B, dir string) {
	b.ReportAllocs()
	for b.Loop() {
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		if plan == nil || len(problems) > 0 {
			b.Fatalf("%.1000s", format(problems))
		}
	}
}

func BenchmarkContainerConfig(b *testing.B) {
	text := []byte(hostConfig{container: "volumes: {/tmp: !Tmpfs }\nenviron: {A: b}\n"}.files()["images/v1/config/app.yaml"])
	b.ReportAllocs()
	for b.Loop() {
		if t := parseTemplate(&document.Collector{}, text); t.broken {
			b.Fatal(format(Owned(t.problems, "", "")))
		}
	}
}
