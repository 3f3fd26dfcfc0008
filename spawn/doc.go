// Package spawn starts containers, on the supervisor's side. It makes the
// prerequisites of a container (cgroup, [Spec] in a memfd, record file), forks
// its PID 1, and removes the remains.
//
// A container can be made in advance, see [Standby].
//
// Records of containers, which outlive the supervisor, are in spawn/records. Data
// that both sides share, above all Spec with its encoding and the lines of the
// record, is in spawn/wire, which imports next to nothing: lithos_knot links that
// and spawn/knot, never this package. spawn/knot is the work of PID 1. None of
// them knows YAML or actors.
package spawn
