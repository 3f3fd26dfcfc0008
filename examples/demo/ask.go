package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// answer is one line of examples/hello.
type answer struct {
	greeting, name string
	visit, here    int
}

// The client opens a connection a request, as a new visitor would: one that
// stays open is answered by one instance only.
var client = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// ask makes one visit.
func (h *host) ask() (answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, h.url(), nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s: %s: %s", h.url(), resp.Status, strings.TrimSpace(string(body)))
	}
	return parseAnswer(string(body))
}

func parseAnswer(line string) (answer, error) {
	var a answer
	_, err := fmt.Sscanf(line, "%s from %s visit %d, %d in this container\n", &a.greeting, &a.name, &a.visit, &a.here)
	a.name = strings.TrimSuffix(a.name, ":")
	if err != nil {
		return answer{}, fmt.Errorf("unexpected answer %q", line)
	}
	return a, nil
}

// askAll makes visits, several at a time, until n instances have answered,
// and returns the first answer of each. One of several idle instances gets a
// connection at random, so the number of visits is bounded, not fixed.
func (h *host) askAll(n int) (map[string]answer, error) {
	const rounds, together = 40, 6
	first := make(map[string]answer)
	for range rounds {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		for range together {
			wg.Go(func() {
				a, err := h.ask()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				} else if old, ok := first[a.name]; !ok || a.here < old.here {
					first[a.name] = a
				}
			})
		}
		wg.Wait()
		if failed != nil {
			return nil, failed
		}
		if len(first) >= n {
			return first, nil
		}
	}
	return nil, fmt.Errorf("of %d instances only these answered: %s", n, strings.Join(slices.Sorted(maps.Keys(first)), ", "))
}
