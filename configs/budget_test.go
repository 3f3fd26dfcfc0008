package configs

import "testing"

func TestRestartBudgetIsRead(t *testing.T) {
	for yaml, want := range map[string]RestartBudget{
		"":                             {},
		"restart-budget: null\n":       {},
		"restart-budget: 50\n":         {Rate: 50, Burst: 50},
		"restart_budget: 2.5\n":        {Rate: 2.5, Burst: 3},
		"restart-budget: 0.01\n":       {Rate: 0.01, Burst: 1},
		"restart-budget: {rate: 20}\n": {Rate: 20, Burst: 20},
		"restart-budget: {rate: 20, burst: 100}\n": {Rate: 20, Burst: 100},
		"restart-budget: {burst: 1, rate: 1e3}\n":  {Rate: 1000, Burst: 1},
	} {
		plan, _ := hostConfig{master: yaml}.good(t)
		equal(t, yaml, plan.Master.RestartBudget, want)
	}
	equal(t, "in words", RestartBudget{Rate: 2.5, Burst: 100}.String(), "2.5 a second, 100 at once")
	equal(t, "none in words", RestartBudget{}.String(), "")
	runProblems(t, []problemCase{
		{name: "zero", host: hostConfig{master: "restart-budget: 0\n"},
			want: []string{"master.yaml:1:17: error: restart-budget: 0 is not in 0.001 to 100000"}},
		{name: "a unit", host: hostConfig{master: "restart-budget: 5/s\n"},
			want: []string{`restart-budget: "5/s" is not a number such as 1.5`}},
		{name: "numbers", host: hostConfig{master: "restart-budget: {rate: 1e9, burst: 1.5}\n"},
			want: []string{"restart-budget.rate: 1e9 is not in 0.001 to 100000", "restart-budget.burst: 1.5 is not a whole number: it counts restarts"}},
		{name: "no rate", host: hostConfig{master: "restart-budget: {burst: 5}\n"},
			want: []string{"restart-budget: needs a rate, restarts a second"}},
		{name: "a list", host: hostConfig{master: "restart-budget: [5]\n"},
			want: []string{"restart-budget: expected restarts a second such as 50, or a mapping with rate and burst, got a list"}},
		{name: "another key", host: hostConfig{master: "restart-budget: {rate: 5, bursts: 6}\n"},
			want: []string{"did you mean `burst`?"}},
	})
}
