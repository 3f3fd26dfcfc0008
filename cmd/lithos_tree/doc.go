// Command lithos_tree is the daemon: it keeps the containers running that the
// configs describe. Here are its flags, its exit codes, what it checks before
// it starts anything, and the real kernel for its actors; what it does is in
// actors/root.
//
// It also becomes another release of itself, by exec (requirement O2): handover.go
// has what the two programs have to know of each other, trial.go how a new one is
// tried, upgrade.go when. Choices of ours: the reload that finds another program
// is the upgrade; there is no other way to ask for one. What is tried is the file
// that the daemon was started as, a link as the name that it is.
package main
