package reference

// Process are the options of one entry of a process config, which is a mapping
// from the names of processes to entries.
var Process = []Option{
	{Name: "kind", Type: oneOf("Daemon", "Command"), Default: "Daemon", Example: "Command", Manual: "4", Text: "A daemon is kept running; a command is run by hand, by lithos_cmd."},
	{Name: "image", Type: text, Example: "web.v3", Manual: "4", Need: true, Text: "Directory of the image below `image-dir`, with exactly `image-dir-levels` parts."},
	{Name: "config", Type: absolute, Example: "/config/web.yaml", Manual: "4", Need: true, Text: "The container config, a path inside the image."},
	{Name: "instances", Type: number("0 to 65535", 0, 65535), Default: "1", Example: "3", Manual: "4", Text: "How many containers are to run."},
	{Name: "ip-addresses", Type: list(address), Example: "[10.0.0.10, 10.0.0.11]", Manual: "4", Text: "An address for each instance, where the sandbox has a `bridged-network`."},
	{Name: "variables", Type: mapping("from a variable to its value", text), Default: "{}", Example: "{port: 8080}", Manual: "4", Text: "Values of the variables that the container config declares. Others are ignored."},
	{Name: "extra-secrets-namespaces", Type: list(text), Default: "[]", Example: "[project1.celery]", Manual: "4", Text: "Secrets for this process, beside those of the sandbox's `secrets-namespaces`."},
	{Name: "max-unavailable", Type: number("1 to 65535", 1, 65535), Example: "1", Text: "How many instances are replaced at a time when their config has changed; without it, all. See [operations](operations.md#deploy)."},
}
