//go:build !race

package knot_test

const raceDetector = false
