// Package report shows problems of configs to people and to programs: as lines
// with the place and the offending line below, and as JSON.
//
// What belongs here: how it looks. What is a problem is decided in configs.
// Everything that comes from a file is taken as hostile: nothing of it moves
// the cursor of a terminal or makes a line of its own.
package report
