// Package document reads YAML files into values with positions, and collects
// their problems.
//
// A [Value] is read by the method of its type: Integer, Seconds, AbsolutePath.
// Each method has the default as an argument, and reports an unacceptable value
// to the [Collector] of the file, so that one reading reports all problems.
// [Object] is a mapping with known keys.
//
// The files may be hostile: reading one costs bounded time and memory, and none
// of its text makes a line of its own in a log.
//
// Scope: the language of the files. Out of scope: any option.
package document
