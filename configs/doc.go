// Package configs reads the four kinds of files that describe a host and
// resolves them into a [Plan].
//
// It holds the YAML dialect, the types, the defaults, the variables and every
// check. All programs call [Load], so that they accept the same files. Its only
// system calls read files, those of an image only inside that image's directory.
// It knows nothing of making a container, and imports no other package of lithos
// but those below it:
//
//   - configs/document: YAML with positions, scalars, problems; no word of lithos
//   - configs/option: declaring options: kinds of values, defaults, descriptions
//   - configs/files: opening and reading files of the host and of images
//   - configs/secrets: sealed values
//
// Others build on it: configs/inspect compares the configs with images and the
// host, configs/images tells which images are used, configs/report shows
// problems.
//
// # How it is put together
//
//	bytes ─ document.Parse ─► Value ─ option.Table ─► readMaster, readSandbox,
//	        (limits,          (positions)  (keys,     readProcesses, readTemplate
//	         one document)                  defaults)         │
//	                                                          ▼
//	                     Plan ◄─ recipe.instance ◄─ resolver (one process with its
//	                                                sandbox and container config)
//
// A container config is read once for each file, however many processes use it.
// Its problems are reported for each of them: every Broken process has an error
// that names it.
//
// # What breaks what
//
//   - The master config, or the directory of sandboxes: there is no plan.
//   - A sandbox config: that sandbox is Broken.
//   - A process config that is missing or can't be parsed: the sandbox's
//     ProcessesBroken is set. "No processes" is an empty file or `{}`; a
//     missing file is not that, since it is what a failed copy leaves.
//   - An entry of it, its image or its container config: that process is
//     Broken.
//
// configs/inspect finds problems in the images and in the host's directories.
//
// # Choices where the manual is silent
//
// The language:
//   - null is absence: the default applies. Only cgroup-name and
//     config-log-dir mean "off" by it. An element of a list, or a value of
//     environ and other free mappings, can't be null.
//   - Keys that begin with an underscore are ignored, so that anchors can be
//     kept there; in a process config too, with a warning if such an entry has
//     image and config.
//   - A number with a leading zero is decimal, as in the original, and a
//     warning says so.
//   - One file is one document of at most 1 MiB, 262144 lines and punctuation
//     marks, as many values after the expansion of aliases, and 100 levels.
//   - The library tells syntax errors without a column; the place is found by
//     searching the shortest beginning of the file that gives the same error.
//   - At most 100 problems of one file are told.
//
// Names and paths:
//   - A sandbox is `^[0-9A-Za-z_][0-9A-Za-z_.-]*$`, a process
//     `^[0-9A-Za-z_-]+$`, both at most 110 bytes. Hidden files and those that
//     don't end in .yaml are no sandboxes.
//   - An image is exactly image-dir-levels directories below image-dir, without
//     `.`, `..`, doubled or trailing slashes, and no symbolic link among them:
//     lithos_clean could not tell that a link's target is in use, and one
//     image could show its inside as another. image-dir itself may be reached
//     by links.
//   - A path inside a container must not have `..` in it where it is a mount
//     point or a virtual directory; doubled and trailing slashes are taken out.
//     The path of a container config is kept as written and resolved with the
//     image as the root.
//   - The virtual path of !Readonly is looked up in readonly-paths as a whole
//     and then in writable-paths; in each the longest prefix wins.
//
// Values:
//   - !Tmpfs and !Statedir are executable unless `exec: false`, as in the
//     original; !Readonly and !Persistent only with `exec: true`. To say it,
//     !Readonly may be a mapping {path, exec}.
//   - Fewer ip-addresses than instances are a warning, and in a bridged network
//     only instances with an address run; more are a warning, too.
//   - instances is at most 65535, normal-exit-codes are 0 to 255, memory-limit
//     is at least 1, the size of a !Tmpfs too, since 0 means no limit to the
//     kernel. A socket's descriptor is below fileno-limit.
//   - Arguments and environment, variables put in, have at most 1 MiB, one of
//     them at most 128 KiB, as execve takes by default.
//   - uid-map and gid-map come together.
//   - LITHOS_NAME and LITHOS_CONFIG in environ and secret-environ are ignored,
//     with a warning.
//   - Secrets are opened when a config is loaded, to find what is wrong with them
//     before anything is replaced, and forgotten at once; each start opens them
//     again ([Container.OpenSecrets]). secret-environ-file is read like the config
//     itself, from the image and not from a volume. Who may not read the key gets
//     a warning.
//   - `mount: true` of resolv-conf without copy-from-host is an error: there is
//     nothing to mount.
//   - Two ports of one process may not become the same number.
//   - A config-wide check that needs another file (an id in a range, a port, a
//     virtual path) is made only when both files could be read.
//
// The fingerprint of an instance covers its [Container] and the devfs-dir. Not
// in it are kind, kill-timeout, stop-signal, normal-exit-codes, metadata and, unless
// restart-process-only is set, restart-timeout: they matter to the supervisor
// only. A secret is in it by the short hash that its sealed value has: sealed
// again, or for another key or namespace, it is the same.
package configs
