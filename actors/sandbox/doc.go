// Package sandbox owns one sandbox: its log files, and which instances it is
// to have.
//
// It compares what it is told to run with what it has, instance by instance
// and by Fingerprint, and tells the process actors: run, update, retire. An
// instance's actor ends in two steps, so that a config which comes back in the
// meantime finds it: it reports that nothing is left, and only if it is still
// not wanted it is told to leave. Of a process with max-unavailable some are told to
// run as another version only when others have said that they serve, see turns.go.
package sandbox
