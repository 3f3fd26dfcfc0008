package main

import (
	"math"
	"slices"
)

func median(all []int) int {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// round keeps two digits after the point; more would be noise.
func round(f float64) float64 { return math.Round(f*100) / 100 }

func ratio(a, b int) float64 { return round(float64(a) / float64(max(1, b))) }

func ms(ns int64) float64 { return round(float64(ns) / 1e6) }
