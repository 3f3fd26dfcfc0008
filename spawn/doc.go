// Package spawn starts containers: the supervisor's side. It makes what a
// container needs before it exists (cgroup, [Spec] in a memfd, record file),
// forks its PID 1, and takes away what is left of it.
//
// A container can be made before it is wanted, see [Standby].
//
// Records of containers, which outlive the supervisor, are in spawn/records.
//
// What both sides share, above all Spec with its encoding and the lines of the
// record, is in spawn/wire, which imports next to nothing: lithos_knot links
// that and spawn/knot, never this package. What PID 1 does with a Spec is in
// spawn/knot. None of them knows YAML or actors.
package spawn
