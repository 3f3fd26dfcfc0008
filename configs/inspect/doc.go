// Package inspect finds files and directories that the configs of a host need and
// that its images or the host lack.
//
// It follows a path as PID 1 will, links and volumes included (view.go). Its
// findings break nothing, and it is not part of configs.Load: the daemon does not
// wait for it. lithos_check and lithos_switch use it.
//
// Scope: reading images and the host. Out of scope: problems of the files
// themselves, which are configs'.
package inspect
