// Package catalog reads examples/programs: a file a program, with a container
// config that runs it and what a run of it in a container showed.
//
// It makes docs/programs.md of them, and the traits that lithos_check knows.
// The runs are those of cmd/e2e (TestPrograms), which compares them with the
// files, or writes them with -update.
package catalog
