// Package metrics exports what the daemon counts, in two formats.
//
// The cantal protocol (section Q of docs/requirements.md): `$CANTAL_PATH.meta`, a line of text for
// each value, and `$CANTAL_PATH.values`, the values themselves, mapped into
// memory. Agents map the latter and read it when they like; nothing is asked.
// docs/metrics.md has the details. And the text format of Prometheus, for
// `/metrics` on the control socket and on the metrics-listen of the master
// config; it is written at each question, from the board and the cgroups.
//
// Choices of ours: the files stay when the daemon ends, so that the counters
// of the next one continue from them (O8), also after a stop. Values are brought
// up to date at most fifty times a second, so a daemon that is killed with
// KILL takes the last 20 ms of counting with it. A file that can't be written
// is an error in the log, nothing more.
package metrics
