package configs

import "slices"

// Keys are the options that the parser knows, by the config or the option that
// they stand in: "master", "sandbox", "process" (an entry of it), "container",
// and such as "bridged-network" or "!Tmpfs". "new=old" has two spellings. It is
// for package reference, which describes each of them.
func Keys() map[string][]string {
	keys := map[string][]string{
		"master": masterKeys, "sandbox": sandboxKeys, "process": processKeys, "container": containerKeys,
		"bridged-network": bridgeKeys, "uid-map": idMapKeys, "gid-map": idMapKeys, "io-limits": ioLimitKeys,
		"restart-backoff": backoffKeys, "restart-budget": budgetKeys, "ready": readyKeys, "healthcheck": healthKeys,
		"container resolv-conf": resolvKeys, "container hosts-file": hostsKeys, "tcp-ports": portKeys,
		"!TcpPort": {"activation"},
	}
	for _, tag := range volumeTagNames {
		keys[tag] = volumeKeys[volumeTags[tag]]
	}
	for name := range keys {
		keys[name] = slices.Clone(keys[name])
	}
	return keys
}
