// Package rotation keeps the files of the programs' output below the size that
// `stdio-log-max-size` of their sandbox says, by sysx/rotate.
//
// It is one goroutine beside the actors, which give it the list of files and
// never wait for it or for a file system. It checks the length of each file at
// least once a second, and more often while a file grows fast. The progress of a
// rotation is stored in the file itself, for the next daemon.
//
// Choices of ours. A part is about stdio-log-max-size long and ends with a line.
// The file is longer while programs write faster than the copy. The size has
// priority over the lines: output beyond (stdio-log-keep + 1) *
// stdio-log-max-size is dropped without a copy, the oldest first; the log has its
// size, and a metric counts it. Otherwise no line is lost or duplicated, even if
// the daemon is killed. Without a daemon there is no rotation. A link or a device
// is skipped and reported once. One goroutine serves all files, so a hanging disk
// delays the rotation of others, but no supervision. Without the option a file is
// opened once, to finish the rotation of a killed daemon.
//
// # The noisiest process
//
// Each rotation names the container that wrote the most since the last one. Lines
// in the file have no author. So it compares the kernel's counter (wchar of
// /proc/PID/io) of each process of the sandbox whose standard output or error is
// that file: the whole counter of a process that began with the option, the
// growth since the first look of an older one. The counter includes output to
// other files, and a process that lived less than a second may be missed: so the
// line says "wrote", not "wrote there".
//
// The line is logged at the first rotation and then at most every ten seconds, with
// the sum since.
package rotation
