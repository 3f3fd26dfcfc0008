package configs

import "testing"

// Texts that the original accepts are accepted, with a warning where it is likely a
// mistake.
func TestAcceptsWhatTheOriginalAccepts(t *testing.T) {
	argument := func(text, want string) problemlessCase {
		return problemlessCase{hostConfig{container: "arguments:\n" + text + "\n"}, want}
	}
	for name, c := range map[string]problemlessCase{
		"? in a flow list":          {hostConfig{container: "arguments: [a?b]\n"}, "a?b"},
		"? at the end":              {hostConfig{container: "arguments: [what?]\n"}, "what?"},
		"a URL in a flow list":      {hostConfig{container: "arguments: [http://x/?a=b&c=d]\n"}, "http://x/?a=b&c=d"},
		"only colons":               argument("- ::", "::"),
		"an escaped slash":          argument(`- "a\/b"`, "a/b"),
		"Null as a word":            argument("- Null", "Null"),
		"a tab after the dash":      argument("-\ta", "a"),
		"YAML 1.2":                  {hostConfig{container: "%YAML 1.2\n---\narguments: [a]\n"}, "a"},
		"a process config from PHP": {hostConfig{process: `{"app":{"image":"v1","config":"\/config\/app.yaml"}}`, container: "arguments: [a]\n"}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "arguments", c.host.app(t).Arguments, []string{c.want})
		})
	}
	runProblems(t, []problemCase{
		{name: "a tag on a scalar", host: hostConfig{container: "arguments:\n- !tag foo\n"}, want: []string{"warning: arguments[0]: the tag !tag means nothing here"}},
		{name: "both spellings", host: hostConfig{container: "user-id: 1\nuser_id: 1\n"}, want: []string{"warning: user_id: the same as `user-id`"}},
		{name: "a relative executable", host: hostConfig{container: "executable: bin/sleep\n"}, want: []string{`warning: executable: "bin/sleep" is no absolute path, it is taken as /bin/sleep`}},
		{name: "cpu-shares 0", host: hostConfig{container: "cpu-shares: 0\n"}, want: []string{"warning: cpu-shares: 0 is taken as 2"}},
		{name: "= in a name", host: hostConfig{container: `environ: {"A=B": x}`}, want: []string{"warning: environ.A=B: "}},
		{name: "a variable without a value", host: hostConfig{container: "variables: {v: !Name }\n"}, want: []string{"warning: app.variables.v: a value is missing"}},
		{name: "an image with a slash", host: hostConfig{process: "app: {image: v1/, config: /config/app.yaml}\n"}, want: []string{`warning: app.image: "v1/" is taken as "v1"`}},
		{name: "ports to 65536", host: hostConfig{sandbox: "allow-tcp-ports: [1-65536]\n"}, want: []string{"warning: allow-tcp-ports[0]: 65535 is the largest number here"}},
		{name: "a cgroup below another", host: hostConfig{master: "cgroup-name: system.slice/lithos\nlog-level: warning\n"}, want: []string{`warning: log-level: "warning" is not one of`}},
	})
}

type problemlessCase struct {
	host hostConfig
	want string
}
