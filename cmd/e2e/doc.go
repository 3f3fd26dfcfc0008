// Package e2e tests the real programs of lithos on real containers: the effects of
// a whole daemon on processes, mounts, cgroups and files of a machine.
//
// It has no code of its own to export; everything is in its tests. A test
// makes a host in a temporary directory (host_test.go), starts lithos_tree on
// it, and at its end nothing of that host may be left on the machine
// (leftovers_test.go). The programs inside the containers are either
// Debian's, in the image that images/build.sh makes, or the test binary
// itself (program_test.go).
//
// The environment says where things are, so that the compiled test also runs
// on a machine without Go:
//
//	LITHOS_BIN       directory of the programs (default ../../bin, `make build`)
//	LITHOS_IMAGES    directory of the images (default ../../build/images, `make images`)
//	LITHOS_E2E_SLOW  factor for all time limits, for a slow machine (default 1)
//	LITHOS_E2E_KILLS how often the daemon is killed while output is rotated (default 8)
//	LITHOS_E2E_LIMITS wait for limits of a minute too, if it is set
//	LITHOS_E2E_CHAOS how much chaos there is: chaos_test.go, `make chaos` (a little)
//	LITHOS_E2E_RESTARTS how many restarts must leave nothing (default 160)
//	LITHOS_E2E_PROGRAMS which of examples/programs are run: "all" (those of CI)
//	LITHOS_E2E_COUNT how many containers the test of many has (default 200)
//
// Without root, the programs, the images or a feature of the kernel the whole
// run fails with a sentence; nothing is skipped.
package e2e
