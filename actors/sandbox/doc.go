// Package sandbox owns one sandbox: its log files, and its set of instances.
//
// It compares the wanted instances with the existing ones, by name and
// Fingerprint, and commands the process actors: run, update, retire. An
// instance's actor ends in two steps: it reports that nothing is left, and leaves
// only if it is still unwanted. So a config that comes back in the meantime finds
// the actor. With max-unavailable an instance is replaced only when earlier
// replacements serve, see turns.go.
package sandbox
