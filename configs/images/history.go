package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// logFiles is the highest suffix of a rotated config log (requirement P7).
const logFiles = 100

// Rules say which versions to keep (requirement S2).
type Rules struct {
	// Since keeps what was used after it (--history-days); zero = all.
	Since time.Time
	// Min versions are kept even if they are older (--versions-min).
	Min int
	// Max versions are kept, even if more are newer (--versions-max).
	Max int
}

// Version is what a sandbox used for some time: a set of images.
type Version struct {
	Images []string // sorted
	// Until is when another one replaced it; the latest has none.
	Until  time.Time
	Latest bool
	// Broken is the place of a line that can't be understood and what is
	// wrong with it: what was used then is not known.
	Broken string
}

// usedAfter says whether it was in use at some time after since.
func (v Version) usedAfter(since time.Time) bool { return v.Latest || v.Until.After(since) }

// Keep gives those of the versions, oldest first, that the rules ask to keep:
// always some latest ones without a gap.
func (r Rules) Keep(versions []Version) []Version {
	keep := len(versions)
	if !r.Since.IsZero() {
		first := slices.IndexFunc(versions, func(v Version) bool { return v.usedAfter(r.Since) })
		if first < 0 {
			first = len(versions)
		}
		keep = max(len(versions)-first, r.Min)
	}
	keep = max(0, min(keep, r.Max, len(versions)))
	return versions[len(versions)-keep:]
}

// line is one line of a config log, or several with the same images.
type line struct {
	at     time.Time // zero if broken
	images []string
	broken string
}

// same takes broken lines after each other as one: the first is told.
func (l line) same(o line) bool {
	return (l.broken == "") == (o.broken == "") && slices.Equal(l.images, o.images)
}

// versions makes versions of the lines of a log, oldest first.
func versions(lines []line) []Version {
	list := make([]Version, 0, len(lines)) // newest first
	var next time.Time                     // of the line after, if latest is false
	latest := true
	for i := len(lines) - 1; i >= 0; i-- {
		l := lines[i]
		v := Version{Images: l.images, Broken: l.broken, Until: next, Latest: latest}
		if l.broken == "" {
			// A clock that was set back does not make it older than it is.
			if !latest && l.at.After(v.Until) {
				v.Until = l.at
			}
			next, latest = l.at, false
		}
		switch n := len(list); {
		case l.broken == "" && len(l.images) == 0:
			// Nothing was used then.
		case n > 0 && l.broken == "" && list[n-1].Broken == "" && slices.Equal(list[n-1].Images, l.images):
			// The same as the one after it.
		default:
			list = append(list, v)
		}
	}
	slices.Reverse(list)
	return list
}

// Log is what the config log of a sandbox says.
type Log struct {
	Kept []Version // oldest first
	// Unneeded are the files of it that only say what is not kept.
	Unneeded []LogFile
}

// LogFile is a file of a config log. Which one it is says Info, since the
// daemon renames them when it begins a new one.
type LogFile struct {
	Path string
	Info os.FileInfo
}

// ReadLog reads the config log of a sandbox: SANDBOX.log, and SANDBOX.log.1 to
// .100, which are older and older, as far as the rules need them.
func ReadLog(dir, sandbox string, rules Rules) (*Log, error) {
	base := filepath.Join(dir, sandbox+".log")
	log := &Log{}
	var lines []line
	var seen []os.FileInfo
	enough := false
	for i := range logFiles + 1 {
		file := base
		if i > 0 {
			file = fmt.Sprintf("%s.%d", base, i)
		}
		if enough {
			if info, err := os.Lstat(file); err == nil {
				log.Unneeded = append(log.Unneeded, LogFile{file, info})
			}
			continue
		}
		older, info, err := readLogFile(file, seen)
		if errors.Is(err, fs.ErrNotExist) {
			continue // there may be gaps while the daemon rotates it
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the config log: %w", err)
		}
		seen = append(seen, info)
		lines = append(older, lines...)
		all := versions(lines)
		log.Kept = rules.Keep(all)
		enough = len(log.Kept) < len(all)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("there is no config log %s, or it is empty; lithos_tree writes it when it starts and when it gets QUIT", base)
	}
	return log, nil
}

// readLogFile gives the lines of one file, those after each other with the
// same images as one. A file that was seen is the same under a new name: the
// daemon rotated it meanwhile.
func readLogFile(file string, seen []os.FileInfo) ([]line, os.FileInfo, error) {
	f, info, err := openRegular(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if slices.ContainsFunc(seen, func(o os.FileInfo) bool { return os.SameFile(o, info) }) {
		return nil, info, nil
	}
	var lines []line
	err = eachLine(f, func(number int, text []byte) {
		var l line
		at, images, err := ParseLine(text)
		if err != nil {
			l.broken = fmt.Sprintf("%s:%d: the line %v", file, number, err)
		} else {
			l.at, l.images = at, images
		}
		if n := len(lines); n == 0 || !lines[n-1].same(l) {
			lines = append(lines, l)
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return lines, info, nil
}
