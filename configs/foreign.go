package configs

// Words of docker, compose, Kubernetes and systemd for what an option here is
// called as the sentence says, in kebab-case.
var (
	foreignToContainer = map[string]string{
		"env":               "`environ`",
		"environment":       "`environ`",
		"env-file":          "`environ`: write its lines there",
		"environment-file":  "`environ`: write its lines there",
		"command":           "`executable` and `arguments`",
		"cmd":               "`executable` and `arguments`",
		"args":              "`arguments`",
		"entrypoint":        "`executable`, with its `arguments`",
		"exec-start":        "`executable` and `arguments`",
		"user":              "`user-id`, a number, and `group-id`",
		"group":             "`group-id`, a number",
		"ports":             "`tcp-ports`",
		"expose":            "`tcp-ports`",
		"restart":           "`restart-timeout`: a program that ends is always restarted",
		"restart-policy":    "`restart-timeout`: a program that ends is always restarted",
		"restart-sec":       "`restart-timeout`",
		"cpus":              "`cpu-quota`",
		"cpu":               "`cpu-quota`",
		"memory":            "`memory-limit`",
		"mem":               "`memory-limit`",
		"mem-limit":         "`memory-limit`",
		"memory-max":        "`memory-limit`",
		"limit-nofile":      "`fileno-limit`",
		"stop-grace-period": "`kill-timeout`",
		"stop-timeout":      "`kill-timeout`",
		"timeout-stop-sec":  "`kill-timeout`",
		"working-directory": "`workdir`",
		"mounts":            "`volumes`",
		"liveness-probe":    "`healthcheck`",
		"readiness-probe":   "`ready`",
		"image":             "`image` too, in the process config",
		"replicas":          "`instances`, in the process config",
	}
	foreignToProcess = map[string]string{
		"replicas": "`instances`",
		"scale":    "`instances`",
		"count":    "`instances`",
		"env":      "`variables`, for what the container config declares",
		"environ":  "`variables`, for what the container config declares",
	}
)
