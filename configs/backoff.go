package configs

import (
	"fmt"
	"math"
	"time"

	"lithos/configs/document"
	"lithos/configs/option"
)

// RestartBackoff is restart-backoff, ours: a program that fails again and again
// is started less and less often. The zero value is none.
type RestartBackoff struct {
	Factor float64       // 1..100, by which the wait grows with each failure; 0 = none
	Cap    time.Duration // the longest wait; at least restart-timeout
	Jitter float64       // 0..1, the part of the wait that chance may take away
	Reset  time.Duration // a container that ran this long was healthy: the row starts over
}

const defaultCap = time.Minute

// Wait is the time between the start of what failed and the next one, after n
// failures in a row: timeout * Factor^(n-1), at most Cap, less the part chance *
// Jitter of it, but never less than timeout, which is restart-timeout. The
// chance is from 0 up to 1.
func (b RestartBackoff) Wait(timeout time.Duration, n int, chance float64) time.Duration {
	if b.Factor == 0 || n <= 1 || timeout <= 0 {
		return timeout
	}
	// Infinity is more than any cap; what is compared never overflows.
	wait := min(float64(timeout)*math.Pow(b.Factor, float64(n-1)), float64(b.Cap))
	return max(time.Duration(wait*(1-b.Jitter*chance)), timeout)
}

// Count is the number of failures in a row after one more container ended, or
// could not be started. n are those before.
func (b RestartBackoff) Count(n int, failure bool, uptime time.Duration) int {
	switch {
	case !failure:
		return 0
	case b.Factor != 0 && uptime >= b.Reset:
		return 1
	}
	return min(n+1, math.MaxInt32)
}

// String is the option as it may be written in a config; "" for none.
func (b RestartBackoff) String() string {
	if b.Factor == 0 {
		return ""
	}
	return fmt.Sprintf("{factor: %s, cap: %s, jitter: %s, reset: %s}",
		document.Decimal(b.Factor), document.Decimal(b.Cap.Seconds()), document.Decimal(b.Jitter), document.Decimal(b.Reset.Seconds()))
}

var backoffTable = option.NewTable(
	option.Of("factor", backoffFactor, func(b *RestartBackoff) *float64 { return &b.Factor }, option.Doc{Default: "2",
		Text: "What the wait is multiplied with at each failure in a row."}),
	option.Of("cap", option.Seconds, func(b *RestartBackoff) *time.Duration { return &b.Cap }, option.Doc{Example: "300",
		Text: "The longest wait, not less than `restart-timeout`. By default 60, or `restart-timeout` if that is more."}),
	option.Of("jitter", option.Fraction(0, 1), func(b *RestartBackoff) *float64 { return &b.Jitter }, option.Doc{Default: "0",
		Text: "The part of the wait that chance may take away, so that not all start at the same moment. No wait gets shorter than `restart-timeout`."}),
	option.Of("reset", option.Seconds, func(b *RestartBackoff) *time.Duration { return &b.Reset }, option.Doc{Default: "10",
		Text: "A container that ran this long was healthy: the failures before it count no more."}),
)

var (
	backoffFactor = option.Fraction(1, 100)
	backoffType   = option.Type{
		Name:   "factor, 1 to 100, or a mapping, see below",
		Schema: option.AnyOf(option.FieldsSchema, backoffFactor.Schema),
		Fields: backoffTable.Infos(),
	}
)

// readBackoff reads restart-backoff: a factor alone, or a mapping.
func readBackoff(v document.Value, c *Container) {
	if v.Null() {
		return
	}
	if c.RestartProcessOnly {
		v.Errorf("can't be together with restart-process-only: PID 1 of the container restarts the program then, with restart-timeout alone")
		return
	}
	if c.RestartTimeout == 0 {
		v.Errorf("needs a restart-timeout above 0: it is what is multiplied")
		return
	}
	if v.IsList() {
		v.Errorf("expected a factor such as 2, or a mapping with factor, cap, jitter and reset, got a list")
		return
	}
	b := RestartBackoff{Cap: max(defaultCap, c.RestartTimeout)}
	if !v.IsMapping() {
		backoffTable.Defaults(&b)
		b.Factor = backoffFactor.Read(v, b.Factor)
		c.RestartBackoff = b
		return
	}
	o, _ := backoffTable.Read(v, &b)
	if b.Cap < c.RestartTimeout {
		o.Get("cap").Errorf("%s s is less than restart-timeout, %s s: no wait is shorter than that", document.Decimal(b.Cap.Seconds()), document.Decimal(c.RestartTimeout.Seconds()))
		return
	}
	c.RestartBackoff = b
}
