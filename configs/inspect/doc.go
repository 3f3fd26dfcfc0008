// Package inspect looks for what the configs of a host need of its images and
// directories, and they lack.
//
// It follows a path as PID 1 will, links and volumes included (view.go). What it
// finds breaks nothing, and it is not part of configs.Load: the daemon does not
// wait for it. It is for lithos_check and lithos_switch.
//
// What belongs here: reading images and the host. What does not: what the files
// themselves tell, which is configs'.
package inspect
