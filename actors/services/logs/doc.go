// Package logs writes the daemon's logs: its own, one supervisor log for each
// sandbox, standard error if asked, or syslog instead of files (requirements
// B10-B16, C6, C7, P3-P5).
//
// A line is `[RFC3339][LEVEL] text`, at debug and trace with file:line before the
// text. Further lines of a text begin with a tab. Control characters are escaped,
// so that an image cannot forge a line by a file name that is quoted here.
//
// With `log-format: json` a line is an object with the fields time, level,
// message and the known ones of sandbox, container, pid, event, cause. With
// `log-format: journal` a line on standard error begins with the level as systemd
// reads it, and has no time; `text` means the same there if standard error is the
// journal. Syslog has a form of its own.
//
// `lithos_tree` reopens all its files at each reload, of which HUP is one. It
// cannot reopen output files of running programs, which have the descriptor: see
// docs/logs.md.
//
// A line that cannot be written, mostly because the disk is full, is dropped,
// because no caller can wait. Standard error is told once, and the file gets the
// number of dropped lines when it is writable again.
//
// Output of programs in containers does not pass through here.
package logs
