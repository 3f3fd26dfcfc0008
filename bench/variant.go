package main

import "strconv"

// variant is what containers have beyond plain ones, and how others have it.
type variant struct {
	suffix string // of the benchmarks' names
	// config is that of containers that wait, once of those that end at once.
	config, once string
	prepare      func(*host) error // before a host is configured; nil = nothing
	limit        []string          // options of limit/limit.c
	bwrap        []string          // options of bwrap and nspawn; nil = it can't
	nspawn       func(*host) []string
	bundle       func(*host, *bundle) // changes that of crun and runc; nil = nothing
}

const (
	firstID = 100000 // of a user namespace, on the host
	manyIDs = 1000
	// otherAddress is that of containers of other runtimes.
	otherAddress = "10.77.200.1"
)

var plain = &variant{
	config: "app", once: "once",
	bwrap:  []string{},
	nspawn: func(*host) []string { return nil },
}

var variants = []*variant{
	plain,
	{
		suffix: "-userns", config: "app", once: "once",
		prepare: func(h *host) error { h.sandbox = userMaps; return nil },
		limit:   []string{"-u"},
		bwrap:   []string{"--unshare-user", "--uid", "0", "--gid", "0"}, // all that it can: one id
		nspawn:  func(*host) []string { return []string{"--private-users=" + strconv.Itoa(firstID)} },
		bundle: func(_ *host, b *bundle) {
			ids := []any{map[string]int{"containerID": 0, "hostID": firstID, "size": manyIDs}}
			b.namespace("user")
			b.linux["uidMappings"], b.linux["gidMappings"] = ids, ids
			// Only who has the network may mount a sysfs.
			b.mount("/sys", "none", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")
		},
	},
	{
		suffix: "-bridge", config: "app", once: "once",
		prepare: (*host).useBridge,
		limit:   []string{"-n", benchBridge + ":" + otherAddress},
		nspawn:  func(*host) []string { return []string{"--network-bridge=" + benchBridge} }, // it gives no address
		bundle: func(h *host, b *bundle) {
			b.namespace("network")
			b.spec["hooks"] = map[string]any{"createRuntime": []any{
				map[string]any{"path": h.b.limit, "args": []string{"limit", "hook", benchBridge + ":" + otherAddress}},
			}}
		},
	},
	{
		suffix: "-5volumes", config: "five", once: "five-once",
		limit: []string{"-w"},
		bwrap: []string{"--bind", "data", "/v1", "--ro-bind", "data", "/v2", "--size", "1048576", "--tmpfs", "/v3", "--bind", "state", "/v4"},
		nspawn: func(h *host) []string {
			return []string{"--bind=" + h.path("data") + ":/v1", "--bind-ro=" + h.path("data") + ":/v2",
				"--tmpfs=/v3:size=1M", "--bind=" + h.path("state") + ":/v4"}
		},
		bundle: func(h *host, b *bundle) {
			b.mount("/v1", "bind", h.path("data"), "bind", "nosuid", "nodev", "noexec")
			b.mount("/v2", "bind", h.path("data"), "bind", "nosuid", "nodev", "noexec", "ro")
			b.mount("/v3", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "size=1m")
			b.mount("/v4", "bind", h.path("state"), "bind", "nosuid", "nodev", "noexec")
		},
	},
}

// newHostOf makes a host with a variant's containers.
func (b *bench) newHostOf(v *variant, bin string, processes ...process) (*host, error) {
	h, err := b.newHost(bin)
	if err == nil && v.prepare != nil {
		err = v.prepare(h)
	}
	if err == nil {
		err = h.configure(processes...)
	}
	return h, err
}
