// Package configs reads the four kinds of files that describe a host and
// resolves them into a [Plan].
//
// It holds the YAML dialect, the types, the defaults, the variables and every
// check, so that what one program accepts is what every program runs: it is
// the same call, [Load]. It makes no system call but to read files, the ones
// of an image only inside that image's directory; it knows nothing of how a
// container is made.
package configs
