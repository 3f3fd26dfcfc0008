// Package attack tries to get out of containers, and to harm the host from
// inside of them: hostile programs, images and container configs, as the manual
// expects of a developer in the worst case. Each attack is a test of its own,
// which fails if the attack succeeds. docs/security.md lists the defences.
//
// It has no code to export; everything is in its tests.
//
//   - inside_test.go, attempts*_test.go: what a program tries in its container,
//     as root and as a user. They share a container: the program is this test
//     binary, executed again, which tries one after the other and reports.
//   - configs_test.go: container configs and images that try, each a container.
//   - host_test.go: one host for them all, with one daemon.
//   - other tests: what needs a daemon of its own, or wears it out.
//   - mutations_test.go, with the build tag mutations: takes one defence after
//     the other out of a copy of the sources and wants the attacks to succeed
//     that it is there for. It is run by hand: make attack-mutations.
//
// All run in each kind of sandbox (sandboxes_test.go). A new attack is a line
// in a table.
//
// The environment is that of package e2e: LITHOS_BIN, LITHOS_E2E_SLOW.
package attack
