package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseNumber reads a number of days or of versions, 0 to 2^31-1.
func parseNumber(text string) (uint, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("is larger than %d", math.MaxInt32)
	}
	if err != nil {
		return 0, errors.New("expected a number, 0 or more")
	}
	return uint(n), nil
}

// units of a DELTA are those that lithos takes; a month is a twelfth of a
// year, which has 365.25 days.
var units = map[time.Duration][]string{
	time.Nanosecond:                {"nsec", "ns"},
	time.Microsecond:               {"usec", "us"},
	time.Millisecond:               {"msec", "ms"},
	time.Second:                    {"seconds", "second", "sec", "s"},
	time.Minute:                    {"minutes", "minute", "min", "m"},
	time.Hour:                      {"hours", "hour", "hr", "h"},
	24 * time.Hour:                 {"days", "day", "d"},
	7 * 24 * time.Hour:             {"weeks", "week", "w"},
	2_630_016 * time.Second:        {"months", "month", "M"},
	365*24*time.Hour + 6*time.Hour: {"years", "year", "y"},
}

func unit(name string) (time.Duration, bool) {
	for d, names := range units {
		for _, n := range names {
			if n == name {
				return d, true
			}
		}
	}
	return 0, false
}

// parseDelta reads a span of time such as `1h`, `90 min` or `2days 12h`: whole
// numbers, each with its unit, which add up.
func parseDelta(text string) (time.Duration, error) {
	var sum time.Duration
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, errors.New("expected a span of time such as 1h or 2days")
	}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 {
			return 0, fmt.Errorf("expected a number at %q", rest)
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s is too large", rest[:digits])
		}
		rest = strings.TrimLeft(rest[digits:], " ")
		end := strings.IndexAny(rest, " 0123456789")
		if end < 0 {
			end = len(rest)
		}
		d, ok := unit(rest[:end])
		if !ok {
			return 0, fmt.Errorf("%d needs a unit: s, min, h, days or weeks", n)
		}
		if n > int64(math.MaxInt64-sum)/int64(d) {
			return 0, errors.New("is longer than 292 years")
		}
		sum += time.Duration(n) * d
		rest = strings.TrimLeft(rest[end:], " ")
	}
	return sum, nil
}
