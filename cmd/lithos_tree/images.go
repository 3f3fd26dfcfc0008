package main

import (
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"lithos/cmd/internal/reader"
)

// images reads what the configs need of the images, without a thread of the
// daemon being held up by a file system, see package reader.
type images struct {
	reader.Reader
	// helpers has the process that reads, before anybody waits for children.
	helpers  helpers
	answered chan []string
}

func newImages() *images {
	i := &images{answered: make(chan []string)}
	i.Start = func(fork func() (int, error)) error {
		_, _, err := i.helpers.start(fork)
		return err
	}
	i.Answered = func(list []string) { i.answered <- list }
	return i
}

// reloadWhenAnswered has what was frozen, because a file system did not answer,
// read again when it does.
func (i *images) reloadWhenAnswered(log zerolog.Logger, requests chan<- struct{}) {
	for list := range i.answered {
		slices.Sort(list)
		log.Warn().Msgf("The file system answers again, reloading: %s", strings.Join(list, ", "))
		requests <- struct{}{}
	}
}
