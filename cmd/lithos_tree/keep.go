package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"lithos/configs"
)

// keepAgain is the pause after a plan could not be written.
const keepAgain = 5 * time.Second

// keptFile has the plan for the daemon after this one. It is root's only: the
// containers' environment is in it.
func keptFile(m *configs.Master) string { return filepath.Join(m.RuntimeDir, "plan.json") }

// keptPlan reads the plan kept by the earlier daemon, nil if there is none.
func keptPlan(m *configs.Master, log zerolog.Logger) *configs.Plan {
	plan, err := readKeptPlan(m)
	if err != nil {
		log.Error().Msgf("Cannot use the plan of an earlier daemon in %s, objects that are broken now will not run: %v", keptFile(m), err)
	}
	return plan
}

func readKeptPlan(m *configs.Master) (*configs.Plan, error) {
	data, err := os.ReadFile(keptFile(m))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return configs.Kept(data)
}

// keeper writes plans on a goroutine of its own: nobody waits for the disk. Of
// several that come in the meantime only the last is written.
type keeper struct {
	path  string
	log   zerolog.Logger
	plans chan *configs.Plan
	done  chan struct{}
}

func newKeeper(m *configs.Master, log zerolog.Logger) *keeper {
	k := &keeper{path: keptFile(m), log: log, plans: make(chan *configs.Plan, 1), done: make(chan struct{})}
	go k.run()
	return k
}

// keep has a plan written; it is for one goroutine at a time.
func (k *keeper) keep(plan *configs.Plan) {
	select {
	case <-k.plans: // replaced before it was written
	default:
	}
	k.plans <- plan
}

// close returns when the last plan is written.
func (k *keeper) close() {
	close(k.plans)
	<-k.done
}

func (k *keeper) run() {
	defer close(k.done)
	var failed *configs.Plan // to be written still
	for {
		var again <-chan time.Time
		if failed != nil {
			again = time.After(keepAgain)
		}
		plan, open := failed, true
		select {
		case plan, open = <-k.plans:
		case <-again:
		}
		if !open {
			return
		}
		err := k.write(plan)
		switch {
		case err == nil && failed != nil:
			k.log.Warn().Msgf("The plan is kept in %s again", k.path)
		case err != nil && failed == nil:
			k.log.Error().Msgf("Cannot keep the plan in %s for the next daemon, which would stop objects that are broken by then (it is retried): %v", k.path, err)
		}
		failed = nil
		if err != nil {
			failed = plan
		}
	}
}

// write replaces the file in one step, so that a kill leaves a whole one.
func (k *keeper) write(plan *configs.Plan) (err error) {
	data, err := plan.Keep()
	if err != nil {
		return err
	}
	next := k.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", next, err), os.Remove(next))
	}
	return os.Rename(next, k.path)
}
