// Package cmd holds the programs, one a folder: their flags, their wiring and
// their exit codes. Their work is done in the layers below. cmd/e2e tests the
// real programs on real containers.
//
// The package itself is only a test, of the repository's layout.
package cmd
