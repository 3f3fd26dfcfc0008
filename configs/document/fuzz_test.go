package document

import (
	"math"
	"strings"
	"testing"
)

func FuzzInteger(f *testing.F) {
	for _, s := range []string{"60", "0x1F", "0o777", "0b1", "1_000", "100Mi", "100m", "4 Gi", "-5", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseInteger(s)
		if err != nil {
			return
		}
		if strings.Trim(s, "0123456789abcdefABCDEFxo_+- kiMGmg") != "" {
			t.Errorf("%q is accepted", s)
		}
		if plain := strings.Trim(s, "0123456789") == "" && s != ""; plain && n < 0 {
			t.Errorf("%q is %d", s, n)
		}
		if n > 0 && !strings.HasPrefix(s, "+") {
			if m, err := ParseInteger("-" + s); err != nil || m != -n {
				t.Errorf("-%s is %d, %v", s, m, err)
			}
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"1", "1-5", "1000-2000", " 5 - 7 ", "0-4294967295", "5-1", "-", "1-2-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s, math.MaxUint16)
		if err != nil {
			return
		}
		if r.First > r.Last || r.Last > math.MaxUint16 || !r.Contains(r.First) || !r.Contains(r.Last) || r.Contains(r.Last+1) {
			t.Errorf("%q is %v", s, r)
		}
		again, err := ParseRange(strings.Trim(FormatRanges([]Range{r}), "[]"), math.MaxUint16)
		if err != nil || again != r {
			t.Errorf("%v written and read is %v, %v", r, again, err)
		}
	})
}

func FuzzSeconds(f *testing.F) {
	for _, s := range []string{"1", "0.25", "86400", "1e3", "-1", "5s", ".5", "1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseSeconds(s); err == nil && (d < 0 || d.Hours() > 24) {
			t.Errorf("%q is %v", s, d)
		}
	})
}
