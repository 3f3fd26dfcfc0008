package control

import (
	"encoding/json"
	"net/http"
	"time"

	"lithos/actors/services/api"
)

// eventBatch is how many events are taken from the board at a time.
const eventBatch = 256

// events streams one event a line, from the number since on; without a number,
// only new ones.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	board := s.c.Board
	since, ok := number(w, r, "since", board.Seq())
	if !ok {
		return
	}
	if id := r.URL.Query().Get("daemon"); id != "" && id != board.ID() {
		since = 0 // of another daemon: all of this one's is news
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	stream := &stream{w: w, control: http.NewResponseController(w)}
	stream.send(api.Event{Seq: since, At: time.Now(), Type: api.EventHello, Daemon: board.ID()})
	for {
		changed := board.Changed()
		list, missed := board.Events(since, eventBatch)
		if missed > 0 {
			since += missed
			stream.send(api.Event{Seq: since, At: time.Now(), Type: api.EventMissed, Missed: missed})
		}
		for _, e := range list {
			since = e.Seq
			stream.send(e)
		}
		if stream.flush() != nil {
			return
		}
		if len(list) == eventBatch {
			continue
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}

// stream writes lines; the first error stays.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *stream) send(e api.Event) {
	if s.err != nil {
		return
	}
	text, err := json.Marshal(e)
	if err == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(answerTimeout))
		_, err = s.w.Write(append(text, '\n'))
	}
	s.err = err
}

func (s *stream) flush() error {
	if s.err == nil {
		s.err = s.control.Flush()
	}
	return s.err
}
