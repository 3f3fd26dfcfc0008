package configs

// Two things are read and checked but can't be run yet. Their use is one
// error, which breaks the object that uses them and no other.

// refuseSandbox reports what a sandbox uses of them.
func refuseSandbox(o *object, sb *SandboxConfig) {
	switch { // a gid-map alone is an error of its own
	case len(sb.UIDMap) > 0:
		o.c.refuse(o.get("uid-map"), "user namespaces are")
	case sb.Bridged != nil:
		o.c.refuse(o.get("bridged-network"), "a bridged network is")
	}
}

// refuseContainer reports what a container config uses of them.
func refuseContainer(o *object, t *template) {
	switch { // a gid-map alone is an error of its own
	case len(t.uidMap) > 0:
		o.c.refuse(o.get("uid-map"), "user namespaces are")
	}
}
