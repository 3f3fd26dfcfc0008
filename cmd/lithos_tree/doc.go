// Command lithos_tree is the daemon: it keeps the containers running that the
// configs describe. Here are its flags, its exit codes, what it checks before
// it starts anything, and the real kernel for its actors; what it does is in
// actors/root.
package main
