// Package attack tries to break out of containers and to harm the host from
// inside of them, with hostile programs, images and container configs. Each
// attack is a test of its own, which fails if the attack succeeds.
// docs/security.md lists the defences.
//
// It has no code to export; everything is in its tests.
//
//   - inside_test.go, attempts*_test.go: attacks of a program in its container, as
//     root and as a user. They share a container: the program is this test binary,
//     executed again, which makes one attempt after the other and reports.
//   - configs_test.go: hostile container configs and images, each a container.
//   - host_test.go: one host for all of them, with one daemon.
//   - other tests: attacks that need a daemon of their own, or wear it out.
//   - mutations_test.go, with the build tag mutations: removes one defence after
//     the other from a copy of the sources and requires that its attacks succeed.
//     By hand: make attack-mutations.
//
// All run in each kind of sandbox (sandboxes_test.go). A new attack is a line
// in a table.
//
// The environment is that of package e2e: LITHOS_BIN, LITHOS_E2E_SLOW.
package attack
