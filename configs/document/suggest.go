package document

import "strings"

// Suggest returns the candidate that word was probably meant to be, or "". Of
// many candidates, which only a hostile file has, it looks at the first.
func Suggest(word string, candidates []string) string {
	const most = 200
	candidates = candidates[:min(most, len(candidates))]
	best, bestDistance := "", 1+min(3, 1+len(word)/4)
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// DidYouMean is suggest as the end of a sentence.
func DidYouMean(word string, candidates []string) string {
	if s := Suggest(word, candidates); s != "" {
		return ", did you mean `" + s + "`?"
	}
	return ""
}

// DidYouMean says nothing once the problem would not be told anyway: to search
// for what a hundred thousand words may have meant takes its time.
func (c *Collector) DidYouMean(word string, candidates []string) string {
	if len(c.List) > MaxProblems {
		return ""
	}
	return DidYouMean(word, candidates)
}

// distance is the number of letters to insert, delete or replace, or of
// neighbours to swap, to make one word of the other (Levenshtein's, with
// Damerau's swaps).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64 // no key is that long; the words may be hostile
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range y {
			cost := last[j]
			if x[i] != y[j] {
				cost++
			}
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				cost = min(cost, before[j-1]+1)
			}
			row[j+1] = min(cost, row[j]+1, last[j+1]+1)
		}
	}
	return row[len(y)]
}
