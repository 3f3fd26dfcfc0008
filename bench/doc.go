// Bench measures the whole programs: the private memory of lithos_knot and
// lithos_tree with 200 containers, how long they take to start, and the time
// from a process's death to the first instruction of its successor. Each
// number comes with a baseline from the same run; the ratio is what can be
// compared between machines.
//
// Micro-benchmarks lie beside their code. See README.md.
package main
