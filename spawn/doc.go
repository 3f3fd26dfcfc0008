// Package spawn starts containers: [Spec], the one value that crosses from the
// supervisor to PID 1, how it is written and read, and the forking itself.
//
// What PID 1 does with a Spec is in spawn/knot. Neither knows YAML or actors.
package spawn
