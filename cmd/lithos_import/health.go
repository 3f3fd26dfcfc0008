package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// healthcheck is that of docker's image config; times are nanoseconds.
type healthcheck struct {
	Test        []string `json:"Test"`
	Interval    int64    `json:"Interval"`
	Timeout     int64    `json:"Timeout"`
	StartPeriod int64    `json:"StartPeriod"`
	Retries     int      `json:"Retries"`
}

// command gives the words to run, none if there is nothing to check.
func (h *healthcheck) command(shell []string) []string {
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	switch {
	case h == nil || len(h.Test) < 2:
		return nil
	case h.Test[0] == "CMD":
		return h.Test[1:]
	case h.Test[0] == "CMD-SHELL":
		return append(slices.Clone(shell), h.Test[1])
	}
	return nil
}

// writeHealthcheck takes the image's own check over, with docker's defaults.
func (m *made) writeHealthcheck(w *yamlWriter, root int, img *image) {
	c := &img.config.Config
	command := c.Healthcheck.command(c.Shell)
	if len(command) == 0 {
		return
	}
	program, err := lookUp(root, command[0], m.workdir, c.Env)
	if err != nil {
		m.warn("the program of the image's health check was not found, the check is left out: %v", err)
		return
	}
	words := []string{scalar(program)}
	for _, arg := range command[1:] {
		m.braces("the health check", arg)
		words = append(words, scalar(arg))
	}
	h := c.Healthcheck
	w.comment("The image's own check. When it fails so often, lithos ends the program and starts", "it again; docker only tells.")
	w.line("healthcheck:")
	w.line("  command: [" + strings.Join(words, ", ") + "]")
	w.line("  interval: " + seconds(h.Interval, 30*time.Second, 100*time.Millisecond, 24*time.Hour))
	w.line("  timeout: " + seconds(h.Timeout, 30*time.Second, 100*time.Millisecond, 5*time.Minute))
	if h.Retries <= 0 {
		h.Retries = 3
	}
	w.line(fmt.Sprintf("  failures: %d", min(h.Retries, 1000)))
	if h.StartPeriod > 0 {
		w.line("  start-period: " + seconds(h.StartPeriod, 0, 0, 24*time.Hour))
	}
}

// seconds writes a time within the bounds that configs have for it.
func seconds(ns int64, ifNone, least, most time.Duration) string {
	d := time.Duration(ns)
	if d <= 0 {
		d = ifNone
	}
	return strconv.FormatFloat(min(max(d, least), most).Round(time.Millisecond).Seconds(), 'f', -1, 64)
}
