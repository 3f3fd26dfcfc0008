// Bench measures the whole programs: starting, restarting, memory, and what a
// host with many containers costs. Beside each number stand the physical limit
// (limit/limit.c, the same system calls with nothing around them), every peer
// that is installed, and another lithos if one is given.
//
// Subjects take turns, so that a machine that changes its pace does so for all
// of them; what compares between machines are the ratios.
//
// Micro-benchmarks lie beside their code. See README.md.
package main
