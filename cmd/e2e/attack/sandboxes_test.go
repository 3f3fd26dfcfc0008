package attack

import "slices"

// sandbox is a kind of sandbox that all attacks are tried in.
type sandbox struct {
	name   string
	config string // more lines of its config
	mapped bool   // it has a user namespace
	// inside: it matters only to what programs try in their containers.
	inside bool
}

var sandboxes = []sandbox{
	{name: "plain"},
	{name: "mapped", mapped: true,
		config: "uid-map: [{inside: 0, outside: 200000, count: 65536}]\ngid-map: [{inside: 0, outside: 200000, count: 65536}]"},
	{name: "filtered", config: "seccomp: default", inside: true},
}

// wholeSandboxes are those that matter to all attacks.
func wholeSandboxes() []sandbox {
	return slices.DeleteFunc(slices.Clone(sandboxes), func(s sandbox) bool { return s.inside })
}
