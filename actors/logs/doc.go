// Package logs writes what the daemon has to say: its own log, one supervisor
// log a sandbox, standard error if asked, or syslog instead of files
// (checklist B10-B16, C6, C7, P3-P5).
//
// A line is `[RFC3339][LEVEL] text`, at debug and trace with file:line before
// the text. A text of several lines goes on with a tab at the beginning of
// each, and control characters are escaped: an image chooses file names that
// are quoted here, and must not be able to forge a line.
//
// What a program in a container writes does not pass through here.
package logs
