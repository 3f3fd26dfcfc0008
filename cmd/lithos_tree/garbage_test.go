package main

import "testing"

func TestASmallHeapMayGrowByMoreThanAPart(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 4 << 20: 50, 5 << 20: 40, 10 << 20: gcPercent, 1 << 40: gcPercent,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d %%, want %d", live, got, want)
		}
	}
}
