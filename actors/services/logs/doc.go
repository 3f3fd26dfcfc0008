// Package logs writes what the daemon has to say: its own log, one supervisor
// log a sandbox, standard error if asked, or syslog instead of files
// (requirements B10-B16, C6, C7, P3-P5).
//
// A line is `[RFC3339][LEVEL] text`, at debug and trace with file:line before
// the text. A text of several lines goes on with a tab at the beginning of
// each, and control characters are escaped: an image chooses file names that
// are quoted here, and must not be able to forge a line.
//
// With `log-format: json` a line is an object with the fields time, level,
// message and what else is known (sandbox, container, pid, event, cause). With
// `log-format: journal` what goes to standard error has the level in front as
// systemd reads it, and no time. It is the form for standard error that text has
// where the journal reads it. Syslog has a form of its own. `lithos_tree` opens all its files anew at
// each reload, of which HUP is one. It can't do that to the output files of
// programs that run: the descriptor is theirs. docs/logs.md says what to do.
//
// A line that can't be written, mostly because the disk is full, is lost, since
// nobody can wait for that: standard error is told once, and the file has the
// number of such lines when it can be written to again.
//
// What a program in a container writes does not pass through here.
package logs
