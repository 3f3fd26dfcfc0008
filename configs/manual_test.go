package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs/document"
)

// readAlone reads one file for itself; its kind is the first word of its name.
func readAlone(name string, data []byte) (any, Problems) {
	c := &document.Collector{File: name}
	kind, _, _ := strings.Cut(name, "-")
	if kind == "container" {
		t := parseTemplate(c, data)
		return t, Owned(t.problems, "", "")
	}
	v, ok := document.Parse(c, data)
	if !ok {
		return nil, Owned(c.List, "", "")
	}
	var result any
	switch kind {
	case "master":
		result, _ = readMaster(v, "/etc/lithos/master.yaml")
	case "sandbox":
		result, _ = readSandbox(v, "web", &Master{ProcessesDir: "/etc/lithos/processes", DefaultLogDir: "/var/log/lithos", LogLevel: "warn"})
	case "process":
		result, _ = readProcesses(v)
	}
	return result, Owned(c.List, "", "")
}

// Why examples of the manual are not accepted as they stand.
const (
	excerptContainer = "error: executable: is required" // the example shows one option only
	excerptUsers     = "error: allow-users: no user is allowed"
	excerptGroups    = "error: allow-groups: no group is allowed"
	proseNil         = `mount: expected true or false, got "nil"; for none write null` // the manual's prose for null
	lostInTransit    = "error: not valid YAML: "                                       // the page came down without its keys
)

// TestManualExamples says of each example of the manual whether it is accepted
// or which problem it gives. A file's first line says where it is from.
func TestManualExamples(t *testing.T) {
	examples := map[string][]string{
		"container-activation-written-out.yaml": {excerptContainer},
		"container-activation.yaml":             {excerptContainer},
		"container-choice.yaml":                 {excerptContainer},
		"container-database-password.yaml":      nil,
		"container-declared-variable.yaml":      nil, // `100m`, requirement A6
		"container-disk.yaml":                   nil, // `work-dir` and `!Persistent /db`, A10, A11
		"container-gunicorn.yaml":               {excerptContainer},
		"container-hosts-file.yaml":             {excerptContainer, proseNil},
		"container-maps.yaml":                   {excerptContainer},
		"container-minimal.yaml":                nil,
		"container-nginx.yaml":                  {excerptContainer},
		"container-old-hosts.yaml": {"2:5: error: localhost: unknown key", "3:5: error: public-hostname: unknown key",
			"4:5: error: copy-from-host: unknown key", excerptContainer}, // came down without its key
		"container-old-minimal.yaml":          {":4:7: " + lostInTransit + "mapping values are not allowed"},
		"container-old-nginx.yaml":            {":3:3: " + lostInTransit},
		"container-old-variables.yaml":        {":3:1: " + lostInTransit},
		"container-pid-in-text.yaml":          {excerptContainer, ":3:8: error: environ.PID: @{lithos:pid} can only be the whole value"},
		"container-pid-variable.yaml":         {excerptContainer},
		"container-resolv-conf.yaml":          {excerptContainer, proseNil},
		"container-secret-environ-lists.yaml": {excerptContainer},
		"container-secret-environ.yaml":       {excerptContainer},
		"container-sleep.yaml":                nil,
		"container-socket-activation.yaml":    {excerptContainer},
		"container-tcp-ports.yaml":            {excerptContainer},
		"container-vagga-state.yaml":          {excerptContainer},
		"container-virtual-paths.yaml":        nil, // `!ReadOnly`, A10
		"container-volume-kinds.yaml":         {excerptContainer},
		"container-werkzeug.yaml":             {excerptContainer},
		"master-config-log-dir-null.yaml":     nil,
		"master-controllers.yaml":             nil,
		"master-empty.yaml":                   nil,
		"master-host-dev.yaml":                nil,
		"master-no-config-log.yaml":           nil,
		"process-django-redis.yaml":           nil,
		"process-ip-addresses.yaml":           nil,
		"process-manage.yaml":                 nil,
		"process-queue-variable.yaml":         nil,
		"process-secrets.yaml":                nil,
		"process-variables.yaml":              nil,
		"process-workers.yaml":                nil,
		"sandbox-allow-mapped-users.yaml": {excerptGroups,
			"uid-map: uid-map and gid-map come together"}, // shows the users only
		"sandbox-allow-users.yaml":      {excerptGroups},
		"sandbox-bridge-reference.yaml": {excerptUsers, excerptGroups},
		"sandbox-bridge.yaml":           {excerptUsers, excerptGroups},
		"sandbox-image-dir-levels.yaml": {excerptUsers, excerptGroups},
		"sandbox-image-dir.yaml":        {excerptUsers, excerptGroups},
		"sandbox-maps.yaml":             {excerptUsers, excerptGroups},
		"sandbox-minimal.yaml":          nil,
		"sandbox-namespaces.yaml":       {excerptUsers, excerptGroups},
		"sandbox-paths.yaml":            {excerptUsers, excerptGroups},
		"sandbox-secrets-key.yaml":      {excerptUsers, excerptGroups},
		"sandbox-user-namespace.yaml":   nil,
	}
	files, err := filepath.Glob("testdata/manual/*.yaml")
	if err != nil || len(files) != len(examples) {
		t.Errorf("%d files for %d examples, %v", len(files), len(examples), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			want, ok := examples[name]
			if !ok {
				t.Error("not in the table")
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := readAlone(name, data)
			wantProblems(t, problems, want...)
		})
	}
}
