// Package vm holds `make test-vm`: the scripts that run the tests of the kernel-facing packages and the whole suite of
// cmd/e2e in a virtual machine with Debian's stock kernel and nothing but cgroup v2. Go code here only tests the
// scripts: that whatever becomes of the guest, the host says it in a sentence and with an exit status.
package vm
