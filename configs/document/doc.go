// Package document reads YAML files in which each value knows where it stands,
// and gathers what is wrong with them.
//
// A [Value] is read by the method of its type: Integer, Seconds, AbsolutePath.
// Each takes what absence means, and reports what it can't accept to the
// [Collector] of the file, so that one reading tells all problems. [Object] is a
// mapping whose keys are known.
//
// The files may be hostile: reading one costs bounded time and memory, and
// nothing of it makes a line of its own in a log.
//
// What belongs here: the language of the files. What does not: any option.
package document
