package wire

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAppendTimeIsRFC3339(t *testing.T) {
	check := func(at time.Time) {
		t.Helper()
		if got, want := string(AppendTime(nil, at, true)), at.UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d: %q, want %q", at.UnixNano(), got, want)
		}
		if got, want := string(AppendTime(nil, at, false)), at.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%d: %q, want %q", at.Unix(), got, want)
		}
	}
	check(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	check(time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC))
	check(time.Unix(-1, 1))
	check(time.Now())
	// Each day of the four centuries after which all comes again.
	for day := time.Date(1900, 1, 1, 23, 9, 1, 1000, time.UTC); day.Year() < 2301; day = day.AddDate(0, 0, 1) {
		check(day)
	}
	for range 10000 {
		check(time.Unix(rand.Int64N(253402300800+62135596800)-62135596800, rand.Int64N(1e9)).In(time.FixedZone("", 3600)))
	}
}
