// Package report shows problems of configs to people and to programs: as lines
// with the place and the offending line below, and as JSON.
//
// Scope: the presentation. Out of scope: finding problems, which is configs'.
// Text from a file is hostile: it is escaped, so that it moves no cursor and
// makes no line of its own.
package report
