// Package metrics exports the daemon's counters, in two formats.
//
// The cantal protocol (section Q of docs/requirements.md) has two files:
// `$CANTAL_PATH.meta`, a line of text for each value, and `$CANTAL_PATH.values`,
// the values themselves, mapped into memory. Agents map the latter and read it at
// any time. docs/metrics.md has the details. The text format of Prometheus is
// served at `/metrics` on the control socket and on the metrics-listen of the
// master config; each request computes it from the board and the cgroups.
//
// Choices of ours: the files stay when the daemon ends, so that the counters of
// the next one continue (O8), also after a stop. Values are updated at most fifty
// times a second, so a KILL of the daemon loses the last 20 ms of counting. A
// file that cannot be written is an error in the log, and has no other effect.
package metrics
