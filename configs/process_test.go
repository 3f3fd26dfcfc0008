package configs

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// Covers: D1, D2, D3, D4, D5, D8
func TestProcessConfigEntries(t *testing.T) {
	plan, dir := hostConfig{process: `
small: {image: v1, config: /config/app.yaml}
full:
  kind: Command
  image: v1
  config: /config//app.yaml
  instances: 7
  ip_addresses: [10.0.0.1, '::2']
  variables: {a: 1, b: 'x', c: true}
  extra-secrets-namespaces: [n.1]
none: {image: v1, config: /config/app.yaml, instances: 0}
`, container: "kind: CommandOrDaemon\n"}.good(t)
	processes := plan.Sandboxes[0].Processes
	equal(t, "order by name", []string{processes[0].Name, processes[1].Name, processes[2].Name}, []string{"full", "none", "small"})
	equal(t, "full", *processes[0].Config, ProcessConfig{
		Kind: KindCommand, Image: "v1", Config: "/config//app.yaml", Instances: 7,
		IPAddresses:            []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::2")},
		Variables:              map[string]string{"a": "1", "b": "x", "c": "true"},
		ExtraSecretsNamespaces: []string{"n.1"},
	})
	equal(t, "small", *processes[2].Config, ProcessConfig{
		Kind: KindDaemon, Image: "v1", Config: "/config/app.yaml", Instances: 1, Variables: map[string]string{},
	})
	equal(t, "D3 no instances", [2]any{len(processes[1].Instances), processes[1].Broken}, [2]any{0, false})
	in := processes[2].Instances[0]
	equal(t, "D4 image", in.Container.Image, dir+"/images/v1")
	equal(t, "D5 config", processes[0].Instances[0].Container.ConfigFile, "/config//app.yaml")
}

// Covers: D2, D10
func TestNamesOfInstancesAndCommands(t *testing.T) {
	plan, _ := hostConfig{process: `
app: {image: v1, config: /config/app.yaml, instances: 3}
job: {image: v1, config: /config/app.yaml, kind: Command, instances: 3}
`, container: "kind: CommandOrDaemon\narguments: ['@{lithos:name}']\n"}.good(t)
	for i, in := range plan.Sandboxes[0].Processes[0].Instances {
		name := fmt.Sprintf("web/app.%d", i)
		equal(t, "daemon", []any{in.Name, in.Sandbox, in.Process, in.Index, in.Container.Arguments[0]}, []any{name, "web", "app", i, name})
	}
	job := plan.Sandboxes[0].Processes[1]
	equal(t, "a command has one instance", len(job.Instances), 1)
	equal(t, "its placeholder", job.Instances[0].Name, "web/cmd.job")
	named := job.Instances[0].WithName("web/cmd.job.4711")
	equal(t, "named", []string{named.Name, named.Container.Arguments[0], env(named.Container, "LITHOS_NAME")},
		[]string{"web/cmd.job.4711", "web/cmd.job.4711", "web/cmd.job.4711"})
	equal(t, "the plan is not changed", job.Instances[0].Container.Arguments[0], "web/cmd.job")
}

func env(c *Container, name string) string {
	for _, e := range c.Environ {
		if e.Name == name {
			return e.Value
		}
	}
	return "(none)"
}

// Covers: D1, D2, D3, D5, D6, D7, D8, D11, E1, L6
func TestProcessMistakes(t *testing.T) {
	bridged := "bridged-network: {bridge: br0, network: 10.0.0.0/24}\n"
	runProblems(t, []problemCase{
		{name: "D1 required keys", host: hostConfig{process: "app: {}\nnil:\n"},
			want: []string{"web.yaml:1:6: error: app.image: is required", "web.yaml:1:6: error: app.config: is required",
				"web.yaml:2:1: error: nil: expected a mapping with image and config, got nothing"}},
		{name: "D1 a list is no process config", host: hostConfig{process: "- app\n"},
			want: []string{"web.yaml:1:1: error: expected a mapping, got a list"}},
		{name: "D2 a name given twice", host: hostConfig{process: "app: {image: v1, config: /config/app.yaml}\nok: {image: v1, config: /config/app.yaml}\napp: {image: v2, config: /c}\n"},
			want: []string{"web.yaml:3:1: error: app: duplicate key, it was given in line 1 already"}},
		{name: "D2 CommandOrDaemon is for container configs", host: hostConfig{entry: "kind: CommandOrDaemon\n"},
			want: []string{`web.yaml:4:9: error: app.kind: "CommandOrDaemon" is not one of Daemon, Command`}},
		{name: "D3 instances", host: hostConfig{entry: "instances: -1\n"},
			want: []string{"web.yaml:4:14: error: app.instances: -1 is not in 0 to 65535"}},
		{name: "D5 config must be absolute", host: hostConfig{process: "app: {image: v1, config: config/app.yaml}\n"},
			want: []string{`web.yaml:1:26: error: app.config: "config/app.yaml" must be an absolute path inside the image`}},
		{name: "D6 too few addresses", host: hostConfig{entry: "instances: 3\nip-addresses: [10.0.0.1, 10.0.0.2]\n"},
			want: []string{"web.yaml:5:17: warning: app.ip-addresses: 2 addresses for 3 instances, each needs one"}},
		{name: "D6 addresses left over", host: hostConfig{entry: "ip-addresses: [10.0.0.1, 10.0.0.2]\n"},
			want: []string{"web.yaml:4:17: warning: app.ip-addresses: 2 addresses for 1 instance, the rest is not used"}},
		{name: "D6 what is no address", host: hostConfig{entry: "ip-addresses: [10.0.0.300, 10.0.0.1, 10.0.0.1, ]\ninstances: 2\n"},
			want: []string{`app.ip-addresses[0]: "10.0.0.300" is not an IP address`, "app.ip-addresses[2]: 10.0.0.1 is given twice"}},
		{name: "D6 a bridged sandbox needs addresses in its network", host: hostConfig{sandbox: bridged,
			process: "app: {image: v1, config: /config/app.yaml}\nfar: {image: v1, config: /config/app.yaml, ip-addresses: [10.0.1.1]}\nsix: {image: v1, config: /config/app.yaml, ip-addresses: ['fd00::1']}\n"},
			want: []string{
				"web.yaml:1:6: warning: app.ip-addresses: is missing: the sandbox has a bridged-network",
				"web.yaml:2:58: error: far.ip-addresses: 10.0.1.1 is not in the network 10.0.0.0/24 of the sandbox",
				"web.yaml:3:58: error: six.ip-addresses: fd00::1 is not in the network",
			}},
		{name: "D6 L6 a bridged command needs none", host: hostConfig{sandbox: bridged,
			entry: "kind: Command\n", container: "kind: Command\n"}},
		{name: "D7 values that are not declared are ignored, declared ones must be there", host: hostConfig{
			entry: "variables: {other: x}\n", container: "variables: {queue: !Name , mode: !Choice [a]}\n"},
			want: []string{
				"web.yaml:4:14: warning: app.variables.queue: a value is missing for this !Name of the container config ",
				"web.yaml:4:14: warning: app.variables.mode: a value is missing for this !Choice of the container config ",
			}},
		{name: "D8 namespaces", host: hostConfig{entry: "extra-secrets-namespaces: ['a b']\n"},
			want: []string{`app.extra-secrets-namespaces[0]: "a b" is not a namespace`}},
		{name: "D11 names", host: hostConfig{process: "a.b: {image: v1, config: /config/app.yaml}\nok-1_X: {image: v1, config: /config/app.yaml}\n"},
			want: []string{
				"web.yaml:1:1: error: a.b: the name may have letters, digits, `_` and `-` in it, not '.'",
			}},
		{name: "D11 long names", host: hostConfig{process: strings.Repeat("n", 111) + ": {image: v1, config: /config/app.yaml}\n" + strings.Repeat("n", 110) + ": {image: v1, config: /config/app.yaml}\n"},
			want: []string{"the name is longer than 110 bytes"}},
		{name: "D11 a name is needed", host: hostConfig{process: "ok: {image: v1, config: /config/app.yaml}\n'': {}\n"},
			want: []string{"web.yaml:2:1: error: a process has no name"}},
		{name: "E1 kinds must match", host: hostConfig{entry: "kind: Command\n"},
			want: []string{"web.yaml:4:9: error: app.kind: is Command here but Daemon in the container config"}},
		{name: "E1 kinds must match the other way", host: hostConfig{container: "kind: Command\n"},
			want: []string{"web.yaml:2:3: error: app.kind: is Daemon here but Command in the container config"}},
	})
}

// Covers: C5, D4
func TestImageNames(t *testing.T) {
	for _, c := range []struct {
		image  string
		levels int
		want   string // "" = fine
	}{
		{"v1", 1, ""}, {".git", 1, ""}, {"a b", 1, ""}, {"web/v1", 2, ""}, {"a/b/c", 3, ""},
		{"v1", 2, "exactly 2 components (image-dir-levels), this has 1"},
		{"a/b", 1, "exactly 1 component (image-dir-levels), this has 2"},
		{"/v1", 1, "must not begin with a slash"}, {"", 1, "not empty"}, {".", 1, "not empty, `.`"}, {"..", 1, "or `..`"},
		{"../v1", 2, "or `..`"}, {"a/..", 2, "or `..`"}, {"a/./b", 2, "`.`"}, {"a//b", 2, "not empty"}, {"a/", 1, "not empty"},
		{"a\nb", 1, "control characters"}, {"a\x00", 1, "control characters"},
	} {
		err := checkImageName(c.image, c.levels)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with %d levels: %v, want %q", c.image, c.levels, err, c.want)
		}
	}
	// In Load, not only in a checker.
	_, problems, _ := hostConfig{process: "app: {image: ../v1, config: /config/app.yaml}\n"}.load(t)
	wantProblems(t, problems, `web.yaml:1:14: error: app.image: "../v1": each component of an image name must be`)
}

// Covers: C4, D4
func TestImageDirLevels(t *testing.T) {
	h := hostConfig{sandbox: "image-dir-levels: 3\n", process: "app: {image: a/b/v1, config: /config/app.yaml}\n"}
	files := h.files()
	files["images/a/b/v1/config/app.yaml"] = "executable: /x\n"
	dir := writeTree(t, files)
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems)
	equal(t, "image", plan.Sandboxes[0].Processes[0].Instances[0].Container.Image, dir+"/images/a/b/v1")
}

func TestAlternateProcessConfig(t *testing.T) {
	dir := writeTree(t, hostConfig{}.files())
	if err := os.WriteFile(dir+"/new.yaml", []byte("other: {image: v1, config: /config/app.yaml, instances: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	plan, problems := Load(Options{MasterFile: "master.yaml", AlternateProcess: map[string]string{"web": "new.yaml"}})
	wantProblems(t, problems)
	s := plan.Sandboxes[0]
	equal(t, "file", s.ProcessFile, dir+"/new.yaml")
	equal(t, "processes", [2]any{s.Processes[0].Name, len(s.Processes[0].Instances)}, [2]any{"other", 2})

	_, problems = Load(Options{MasterFile: "master.yaml", AlternateProcess: map[string]string{"wbe": "new.yaml"}})
	wantProblems(t, problems, dir+"/sandboxes: error: there is no sandbox wbe, did you mean `web`?")
}

// A text is parsed once, but what is wrong with it is told for each file and
// for each process that uses it.
//
// Covers: D12
func TestSameMistakeInTwoImages(t *testing.T) {
	files := hostConfig{process: `
a: {image: v1, config: /config/app.yaml}
b: {image: v1, config: /config/app.yaml}
c: {image: v2, config: /config/app.yaml}
`, container: "workdri: /x\n"}.files()
	files["images/v2/config/app.yaml"] = files["images/v1/config/app.yaml"]
	dir := writeTree(t, files)
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems, dir+"/images/v1/config/app.yaml:1:1: error: workdri", dir+"/images/v2/config/app.yaml:1:1: error: workdri")
	equal(t, "one for each process", len(problems), 3)
	checkBreakage(t, plan, problems)
}

func TestMaxUnavailable(t *testing.T) {
	plan, _ := hostConfig{process: "app: {image: v1, config: /config/app.yaml, instances: 3}"}.good(t)
	before := plan.Sandboxes[0]
	plan, _ = hostConfig{process: "app: {image: v1, config: /config/app.yaml, instances: 3, max-unavailable: 2, variables: {}}"}.good(t)
	after := plan.Sandboxes[0]
	equal(t, "without it", before.Processes[0].MaxUnavailable(), 0)
	equal(t, "with it", after.Processes[0].MaxUnavailable(), 2)
	equal(t, "of what is not there", new(Process).MaxUnavailable(), 0)
	for i, in := range after.Processes[0].Instances {
		equal(t, "it is no reason to replace "+in.Name, in.JSON, before.Processes[0].Instances[i].JSON)
		in.Fingerprint += "x"
	}
	for _, step := range Compare(before, after) {
		equal(t, "how many are replaced with "+step.Name, step.MaxUnavailable, 2)
	}
	runProblems(t, []problemCase{
		{name: "none at a time", host: hostConfig{entry: "max-unavailable: 0\n"},
			want: []string{"web.yaml:4:20: error: app.max-unavailable: 0 is not in 1 to 65535"}},
	})
}
