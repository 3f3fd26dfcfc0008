package configs

import (
	"fmt"
	"math"

	"lithos/configs/document"
)

// RestartBudget is restart-budget of the master config, ours: how often
// containers of the host may be restarted, all together. The zero value is no
// bound.
type RestartBudget struct {
	Rate  float64 // restarts a second, 0.001..100000; 0 = no bound
	Burst float64 // 1..1000000, whole: restarts at once after a quiet time
}

// The bounds of restart-budget.
const (
	minBudgetRate  = 0.001
	maxBudgetRate  = 100_000
	maxBudgetBurst = 1_000_000
)

// String is such as "5 a second, 20 at once"; "" for no bound.
func (b RestartBudget) String() string {
	if b.Rate == 0 {
		return ""
	}
	return fmt.Sprintf("%s a second, %s at once", document.Decimal(b.Rate), document.Decimal(b.Burst))
}

var budgetKeys = []string{"rate", "burst"}

// readBudget reads restart-budget: a rate alone, or a mapping. Without a burst
// it is what comes in a second, and at least 1.
func readBudget(v document.Value) RestartBudget {
	if v.Null() {
		return RestartBudget{}
	}
	b := RestartBudget{}
	switch v.Describe() {
	case "a mapping":
		f, _ := v.Object(budgetKeys)
		rate, burst := f.Get("rate"), f.Get("burst")
		if rate.Null() {
			v.Errorf("needs a rate, restarts a second")
			return b
		}
		b.Rate = rate.Fraction(0, minBudgetRate, maxBudgetRate)
		b.Burst = burst.Fraction(max(1, math.Ceil(b.Rate)), 1, maxBudgetBurst)
		if b.Burst != math.Trunc(b.Burst) {
			burst.Errorf("%s is not a whole number: it counts restarts", document.Decimal(b.Burst))
		}
	case "a list":
		v.Errorf("expected restarts a second such as 50, or a mapping with rate and burst, got a list")
	default:
		b.Rate = v.Fraction(0, minBudgetRate, maxBudgetRate)
		b.Burst = max(1, math.Ceil(b.Rate))
	}
	if b.Rate == 0 {
		return RestartBudget{}
	}
	return b
}
