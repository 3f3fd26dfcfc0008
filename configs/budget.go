package configs

import (
	"fmt"
	"math"

	"lithos/configs/document"
	"lithos/configs/option"
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

var budgetTable = option.NewTable(
	option.Of("rate", budgetRate, func(b *RestartBudget) *float64 { return &b.Rate }, option.Doc{Missing: "is missing", Example: "20",
		Text: "Restarts a second."}),
	option.Of("burst", budgetBurst, func(b *RestartBudget) *float64 { return &b.Burst }, option.Doc{Example: "100",
		Text: "How many may follow at once after a quiet time. By default as many as come in a second, and at least 1."}),
)

var (
	budgetRate  = option.Fraction(minBudgetRate, maxBudgetRate)
	budgetBurst = option.Kind[float64]{Type: option.Number[int64](1, maxBudgetBurst).Type, Read: option.Fraction(1, maxBudgetBurst).Read}
	budget      = option.Kind[RestartBudget]{
		Type: option.Type{
			Name:   "restarts a second, 0.001 to 100000, or a mapping, see below",
			Schema: option.AnyOf(option.FieldsSchema, budgetRate.Schema),
			Fields: budgetTable.Infos(),
		},
		Read: readBudget,
	}
)

// readBudget reads restart-budget: a rate alone, or a mapping. Without a burst
// it is what comes in a second, and at least 1.
func readBudget(v document.Value, _ RestartBudget) RestartBudget {
	b := RestartBudget{}
	switch {
	case v.Null():
		return b
	case v.IsMapping():
		o, _ := budgetTable.Object(v)
		if o.Get("rate").Null() {
			v.Errorf("needs a rate, restarts a second")
			return b
		}
		budgetTable.ReadOne("rate", &o, &b)
		b.Burst = max(1, math.Ceil(b.Rate))
		budgetTable.ReadOne("burst", &o, &b)
		if b.Burst != math.Trunc(b.Burst) {
			o.Get("burst").Errorf("%s is not a whole number: it counts restarts", document.Decimal(b.Burst))
		}
	case v.IsList():
		v.Errorf("expected restarts a second such as 50, or a mapping with rate and burst, got a list")
	default:
		b.Rate = budgetRate.Read(v, 0)
		b.Burst = max(1, math.Ceil(b.Rate))
	}
	if b.Rate == 0 {
		return RestartBudget{}
	}
	return b
}
