package reference

import (
	"fmt"
	"strings"

	"lithos/configs"
	"lithos/configs/option"
)

// Pages are the pages of the configs, by their names.
func Pages() map[string]string {
	return map[string]string{
		"master": page("The master config", `
The file of lithos_tree and all commands, by default `+"`/etc/lithos/master.yaml`"+`. It has to exist and may be empty. Who runs the host writes it.
`, configs.Describe("master")),
		"sandbox": page("Sandbox configs", `
What one application may use of the host: a file for each in `+"`sandboxes-dir`, `/etc/lithos/sandboxes/NAME.yaml`"+`. Who runs the host writes
them.
`, configs.Describe("sandbox")),
		"process": page("Process configs", `
What runs: a file for each sandbox in `+"`processes-dir`, `/etc/lithos/processes/NAME.yaml`"+`, a mapping from the names of processes to entries with
these options. The deployment writes them; [lithos_switch](lithos_switch.md) puts them in place.

    web:
      image: web.v3
      config: /config/web.yaml
      instances: 2
`, configs.Describe("process")),
		"container": page("Container configs", `
What a program needs, said by its developer: a file in the image, which the process config names. It is not trusted.

    executable: /usr/bin/python3
    arguments: [app.py]
    workdir: /app
    memory-limit: 256Mi
`, configs.Describe("container")) + variablesText() + volumesText(),
	}
}

const generated = "<!-- Made from configs/reference by `go test ./configs/reference -update`: change it there. -->\n"

const common = `
Keys are in kebab-case; snake_case is the same. Keys that begin with an underscore are ignored. ` + "`null`" + ` is as if the key were not there,
where nothing else is said. Numbers may be written ` + "`1_000`, `0x10`, `0o755`, `4k`, `16Mi`" + `. The numbers in the column "manual" are chapters of the manual
of lithos 0.18; ` + "**ours**" + ` is what lithos does not have.

An editor with yaml-language-server checks the file while it is written, with this as its first line:

    # yaml-language-server: $schema=https://HOST/schemas/NAME.json

where the schemas are those in [schemas/](schemas/), from anywhere that it can read. It has to be told the tags of container configs:
` + "`yaml.customTags`: `!TcpPort scalar`, `!TcpPort mapping`, `!Name scalar`, `!DottedName scalar`, `!Choice sequence`, `!Readonly scalar`, `!Readonly mapping`, `!Persistent scalar`, `!Persistent mapping`, `!Statedir scalar`, `!Statedir mapping`, `!Tmpfs mapping`" + `. A schema sees
neither other files nor tags; [lithos_check](lithos_check.md) does.
`

func page(title, begin string, options []option.Info) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s%s%s\n", title, generated, begin, common)
	table(&b, options)
	for _, o := range options {
		if len(o.Fields) > 0 && !o.Elsewhere {
			fmt.Fprintf(&b, "\n## In `%s`\n\n", o.Key)
			table(&b, o.Fields)
		}
	}
	return b.String()
}

func table(b *strings.Builder, options []option.Info) {
	b.WriteString("| option | type, unit | default | example | manual | |\n|---|---|---|---|---|---|\n")
	for _, o := range options {
		name := "`" + o.Key + "`"
		if o.Old != "" {
			name += ", `" + o.Old + "`"
		}
		def, manual := code(o.Default), o.Manual
		if o.Missing != "" {
			def = "required"
		}
		if manual == "" {
			manual = "**ours**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", name, o.Type.Name, def, code(o.Example), manual, o.Text)
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func variablesText() string {
	var b strings.Builder
	b.WriteString(`
## The types of ` + "`variables`" + `

| type | its values |
|---|---|
| ` + "`!TcpPort`" + ` | a port, 1 to 65535, which the sandbox allows |
| ` + "`!TcpPort {activation: systemd}`" + ` | the same, and the socket is passed |
| ` + "`!Choice [a, b]`" + ` | one of these |
| ` + "`!Name`" + ` | letters, digits, ` + "`_` and `-`" + ` |
| ` + "`!DottedName`" + ` | names with dots between, as in DNS |

`)
	table(&b, configs.Activation())
	return b.String()
}

func volumesText() string {
	var b strings.Builder
	b.WriteString("\n## The kinds of `volumes`\n")
	for _, v := range configs.Volumes() {
		fmt.Fprintf(&b, "\n`%s`: %s\n\n", v.Tag, v.Text)
		table(&b, v.Options)
	}
	return b.String()
}
