// Command lithos_tree is the daemon: it keeps the containers running that the
// configs describe. This package has the flags, the exit codes, the checks before
// the first start, and the real kernel for the actors. The work itself is in
// actors/root.
//
// The daemon upgrades to another release of itself by exec (requirement O2).
// handover.go has the data that both programs share, trial.go the trial of a new
// program, upgrade.go the decision. A reload that finds another program is the
// upgrade; there is no other way to ask for one. The candidate is the file that
// the daemon was started as; a link is followed again.
package main
