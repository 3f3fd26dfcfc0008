// Package rotation keeps the files of the programs' output below the size that
// `stdio-log-max-size` of their sandbox says, by sysx/rotate.
//
// It is one goroutine, beside the actors: they only tell it which files there are,
// and never wait for it or for a file system. It looks at the length of each
// file, at least once a second and more often the faster one grows. Nothing has to
// be stored for the next daemon: how far a rotation came is in the file.
//
// Choices of ours. What is cut off is about stdio-log-max-size long and ends with a
// line. While programs write faster than can be copied, the file is longer. The
// bounded size is what is promised, before the lines: beyond all that would be kept,
// (stdio-log-keep + 1) * stdio-log-max-size, the oldest lines are dropped uncopied,
// which is what copying them would come to as well; the log says how much, and
// a metric counts it. Otherwise, and whenever the daemon is killed, no line is lost
// and none is there twice. While no daemon runs nobody rotates. A path that is a link
// or a device is left alone, and said once. One goroutine serves all files, so a
// disk that hangs delays the rotation of others, but no supervision. Where the
// option is off a file is opened once, for what a daemon that was killed may have
// begun when it was on.
//
// # The noisiest process
//
// Each rotation names the container that wrote the most since the last one. What is
// in the file does not say who wrote it, and the file's descriptor is the programs'
// own; so what is compared is how much each process of the sandbox, whose standard
// output or error is that file, has written by the count of the kernel (wchar of
// /proc/PID/io): all of a process that began while the option was on, of an older one
// what it wrote since it was first seen. That counts what it writes elsewhere too, and a process that lived
// less than a second may be missed: the line says "wrote", not "wrote there".
//
// The line is logged at the first rotation and then at most every ten seconds, with
// the sum since.
package rotation
