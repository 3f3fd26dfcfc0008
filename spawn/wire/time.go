package wire

import "time"

// AppendTime appends a time in UTC as RFC 3339 has it, to the second or, with
// nano, to the nanosecond. For the years 1 to 9999. It is not AppendFormat of
// package time because that may lock and allocate on its way to a time zone,
// which a PID 1 without a runtime can't, see spawn/knot.
func AppendTime(b []byte, t time.Time, nano bool) []byte {
	const day = 24 * 60 * 60
	sec := t.Unix()
	days, clock := sec/day, sec%day
	if clock < 0 {
		days, clock = days-1, clock+day
	}
	year, month, date := civil(days)
	b = append(digits(b, year, 4), '-')
	b = append(digits(b, month, 2), '-')
	b = append(digits(b, date, 2), 'T')
	b = append(digits(b, clock/3600, 2), ':')
	b = append(digits(b, clock/60%60, 2), ':')
	b = digits(b, clock%60, 2)
	if ns := t.Nanosecond(); nano && ns > 0 {
		b = digits(append(b, '.'), int64(ns), 9)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z')
}

// civil is the date of a day counted from 1970-01-01. It counts years from the
// first of March, so that leap days are at their ends, in eras of 400 years.
func civil(days int64) (year, month, date int64) {
	const (
		era       = 146097 // days
		toMarch0  = 719468 // from 0000-03-01 to 1970-01-01
		fiveMonth = 153    // days from March to July, and from August to December
	)
	days += toMarch0
	year = days / era * 400
	days %= era
	n := (days - days/1460 + days/36524 - days/(era-1)) / 365
	year += n
	days -= 365*n + n/4 - n/100
	m := (5*days + 2) / fiveMonth
	date = days - (fiveMonth*m+2)/5 + 1
	if month = m + 3; month > 12 {
		month, year = month-12, year+1
	}
	return year, month, date
}

// digits appends a number with leading zeros.
func digits(b []byte, n int64, width int) []byte {
	for ; width > 0; width-- {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
