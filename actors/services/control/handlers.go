package control

import (
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/metrics"
	"lithos/actors/services/status"
	"lithos/configs"
)

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	usage, ok := truth(w, r, "usage")
	if !ok {
		return
	}
	view, now := s.c.Board.View(), time.Now()
	st := &api.Status{
		Daemon:   s.daemon(now),
		Reload:   view.Reload,
		Problems: problemsOf(view.Config.Problems),
		Objects:  objectsOf(view.Config),
		Seq:      view.Seq,
	}
	st.Instances = s.instancesOf(view, now, usage, func(*status.Instance) bool { return true })
	answer(w, http.StatusOK, st)
}

func (s *Server) daemon(now time.Time) api.Daemon {
	started := s.c.Board.Started()
	return api.Daemon{
		Version: s.c.Version, PID: s.c.PID, ID: s.c.Board.ID(), Started: started,
		Uptime: now.Sub(started).Seconds(), Config: s.c.MasterFile, LogLevel: s.c.Level(),
	}
}

func (s *Server) instances(w http.ResponseWriter, r *http.Request) {
	usage, ok := truth(w, r, "usage")
	if !ok {
		return
	}
	view := s.c.Board.View()
	answer(w, http.StatusOK, &api.Instances{
		Instances: s.instancesOf(view, time.Now(), usage, scopeOf(r)),
		Seq:       view.Seq,
	})
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("sandbox") + "/" + r.PathValue("process")
	in, config := s.c.Board.Instance(name)
	if in == nil {
		refuse(w, http.StatusNotFound, "there is no instance "+strconv.Quote(name)+": /v1/instances lists them")
		return
	}
	shown := []api.Instance{translate(in, config, time.Now())}
	s.probe(shown)
	answer(w, http.StatusOK, &shown[0])
}

// maxDeaths is the most that one answer has.
const maxDeaths = 1000

// deathsPatience is for deaths that are shown already and are yet to be written
// down, so that a client that was told of one finds it.
const deathsPatience = time.Second

func (s *Server) deaths(w http.ResponseWriter, r *http.Request) {
	limit, ok := number(w, r, "limit", 100)
	if !ok {
		return
	}
	scope := scopeOf(r)
	s.c.Deaths.Flush(deathsPatience)
	list := s.c.Deaths.All(int(min(limit, maxDeaths)), func(name string) bool {
		return scope(&status.Instance{Instance: api.Instance{Name: name}})
	})
	answer(w, http.StatusOK, &api.Deaths{Deaths: orEmpty(list)})
}

// instanceDeaths also answers for an instance that is gone.
func (s *Server) instanceDeaths(w http.ResponseWriter, r *http.Request) {
	s.c.Deaths.Flush(deathsPatience)
	list, err := s.c.Deaths.Read(r.PathValue("sandbox") + "/" + r.PathValue("process"))
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, &api.Deaths{Deaths: orEmpty(list)})
}

// orEmpty makes a list of none, where JSON would have null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// instancesOf translates those of a view that are in the scope.
func (s *Server) instancesOf(view status.View, now time.Time, usage bool, scope func(*status.Instance) bool) []api.Instance {
	list := make([]api.Instance, 0, len(view.Instances))
	for _, in := range view.Instances {
		if !scope(in) {
			continue
		}
		list = append(list, translate(in, view.Config, now))
	}
	if usage {
		s.probeAll(list)
	}
	return list
}

// probeAll adds what has to be looked up to all. With many that is most of the
// answer, so all processors take part.
func (s *Server) probeAll(list []api.Instance) {
	const few = 50 // for which no other goroutine is worth it
	part := max(few, (len(list)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	defer all.Wait()
	for some := range slices.Chunk(list, part) {
		all.Go(func() {
			// Package http keeps panics of its own goroutine only.
			defer actors.Recover(s.c.Log, "control socket", nil)
			s.probe(some)
		})
	}
}

// probe adds the fields that are read on demand.
func (s *Server) probe(list []api.Instance) {
	if s.c.Probe == nil {
		return
	}
	of := make([]Probed, len(list))
	for i := range list {
		of[i] = Probed{list[i].Name, list[i].PID}
	}
	for i, p := range s.c.Probe(of) {
		addProbe(&list[i], p)
	}
}

func addProbe(in *api.Instance, p Probe) {
	if in.PID != 0 {
		in.ProgramPID, in.ProgramStarted = p.ProgramPID, p.ProgramStarted
	}
	if p.Stopped && !slices.Contains(in.Conditions, api.ConditionSuspended) {
		in.Conditions = append(in.Conditions, api.ConditionSuspended)
		in.Words = words(in, time.Now())
	}
	if p.Silent {
		in.Conditions = append(in.Conditions, api.ConditionSilent)
		in.Words = words(in, time.Now()) + "; its program " + silentWords
	}
	in.Usage = usageOf(p.Usage)
}

// silentWords is why nothing is known of a program.
const silentWords = "can't be looked at: it executes another one, and waits for a file system that does not answer"

// scopeOf reads the parameters sandbox, process and instance.
func scopeOf(r *http.Request) func(*status.Instance) bool {
	q := r.URL.Query()
	sandbox, process, instance := q.Get("sandbox"), q.Get("process"), q.Get("instance")
	return func(in *status.Instance) bool {
		name := configs.ParseInstanceName(in.Name)
		return (sandbox == "" || sandbox == name.Sandbox) && (process == "" || process == name.Process) &&
			(instance == "" || instance == in.Name)
	}
}

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, &api.LogLevel{Level: s.c.Level()})
}

func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var asked api.LogLevel
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, `cannot read the level: send {"level":"debug"}`)
		return
	}
	if err := s.c.SetLevel(asked.Level); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.c.Log.Warn().Msgf("The log level is %s until the next reload: asked for on the control socket", asked.Level)
	s.logLevel(w, r)
}

// reload asks for a reading of the configs. The generation to wait for is read
// first: a reading that is under way may have begun before the question.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	generation := s.c.Board.View().Reload.Begun + 1
	select {
	case s.c.Reload <- struct{}{}:
		answer(w, http.StatusAccepted, &api.ReloadAsked{Generation: generation})
	case <-r.Context().Done():
	case <-s.done:
	case <-time.After(answerTimeout):
		refuse(w, http.StatusServiceUnavailable, "the daemon is too busy to take the request; try again later")
	}
}

// truth reads a parameter that is true or false; ok is false where it was
// refused.
func truth(w http.ResponseWriter, r *http.Request, name string) (value, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, true
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		refuse(w, http.StatusBadRequest, name+" is true or false, not "+strconv.Quote(text))
	}
	return value, err == nil
}

// maxSeconds is the longest time that a parameter can ask for.
const maxSeconds = 3600

// seconds reads a parameter that is a number of seconds.
func seconds(w http.ResponseWriter, r *http.Request, name string) (d time.Duration, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= maxSeconds) {
		refuse(w, http.StatusBadRequest, name+" is a number of seconds from 0 to 3600, not "+strconv.Quote(text))
		return 0, false
	}
	return time.Duration(n * float64(time.Second)), true
}

// number reads a parameter that counts something.
func number(w http.ResponseWriter, r *http.Request, name string, absent uint64) (n uint64, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, name+" is a number, not "+strconv.Quote(text))
	}
	return n, err == nil
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", metrics.ContentType)
	if s.c.Metrics != nil {
		_ = s.c.Metrics(w)
	}
}
