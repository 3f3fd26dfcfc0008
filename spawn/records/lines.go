package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tallyWidth is how long a line about an end is, with spaces behind it: so that
// the next one can take its place in one write.
const tallyWidth = 320

// notedLine says that an end has been told, so that the next supervisor does not
// tell it again. One of a lithos that knows no tally reads that, too.
func notedLine(t Tally) string {
	line := strings.TrimSuffix(lineOfEvent(event{Noted: true, Tally: &t}), "\n")
	return line + strings.Repeat(" ", max(0, tallyWidth-1-len(line))) + "\n"
}

// NoteEnd writes into the record of a dead container that its end, or that of a
// try to start another, has been told, and how things stand since. It takes the
// place of what the last call wrote: there may be tries without end.
func NoteEnd(path string, t Tally) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot write to a container's record: %w", err)
	}
	t.Boot = bootTime(t.Tried)
	err = noteEnd(f, notedLine(t))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write to a container's record: %w", err)
	}
	return nil
}

func noteEnd(f *os.File, line string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, before := info.Size(), make([]byte, tallyWidth)
	if from := at - tallyWidth; from >= 0 && len(line) == tallyWidth {
		if _, err := f.ReadAt(before, from); err != nil {
			return err
		}
		if !bytes.HasPrefix(before, []byte(`{"noted":`)) {
			before = nil // it is another line's end, as after each death
		}
		rest, e := parseLine(bytes.TrimSuffix(before, []byte("\n")))
		if e.Tally != nil && e.Noted && len(rest) == 0 {
			at = from
		}
	}
	_, err = f.WriteAt([]byte(line), at)
	return err
}

// CreatedLine begins the record of a container. It sets c.Boot.
func CreatedLine(c *Created) string {
	c.Boot = bootTime(c.At)
	return lineOfEvent(event{Created: c})
}

// ForkedLine names PID 1. The supervisor that forked it appends the line, or a
// later one that found PID 1 without it.
func ForkedLine(f Forked) string { return lineOfEvent(event{Forked: &f}) }

// ReadyLine says that the container is ready since then.
func ReadyLine(at time.Time) string { return lineOfEvent(event{Ready: &at}) }

// UnhealthyLine says why the supervisor ends the container: its checks failed.
func UnhealthyLine(why string) string {
	const most = 1024
	return lineOfEvent(event{Unhealthy: strings.ToValidUTF8(why[:min(len(why), most)], "")})
}

// EndingLine says for which other reason the supervisor ends the container.
func EndingLine(why string) string { return lineOfEvent(event{Ending: why}) }

// lineOfEvent is an event as it stands in a record.
func lineOfEvent(e event) string {
	line, err := json.Marshal(e)
	if err != nil {
		panic("records: " + err.Error()) // nothing in an event can't be written
	}
	return string(line) + "\n"
}
