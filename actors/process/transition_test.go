package process

import (
	"slices"
	"strings"
	"testing"
)

// grid is what each cell of the table is to be, written down a second time by
// what a container's life needs. A cell that is missing is to be ignored.
var grid = map[Phase]map[Kind]string{
	Absent: {
		Run:    "Opening: OpenSockets",
		Adopt:  "Running: NoteAdopt StartChecks ArmStandby",
		Resume: "Cleaning: Clean",
		Retire: "Absent: ReportRetired",
		Leave:  "Absent: StopActor",
	},
	Waiting: {
		Run:            "Opening: CancelRestart OpenSockets",
		Retire:         "Leaving: CancelRestart CleanAll",
		RestartElapsed: "Opening: OpenSockets",
	},
	Opening: {
		Run:          "Opening: OpenSockets",
		Retire:       "Leaving: ReturnSockets CleanAll",
		Leased:       "Forking: Fork",
		LeaseRefused: "Waiting: ReturnSockets NoteLeaseFailed ArmRestart",
	},
	Forking: {
		Run:         "ForkingToReplace:",
		Retire:      "ForkingToRetire:",
		Forked:      "Running: NoteStart StartChecks ArmStandby",
		ForkRefused: "Cleaning: ReturnSockets NoteForkFailed Clean",
	},
	ForkingToReplace: {
		Retire:      "ForkingToRetire:",
		Forked:      "Replacing: NoteStart SendTerm ArmKill",
		ForkRefused: "CleaningToReplace: NoteForkFailed Clean",
	},
	ForkingToRetire: {
		Run:         "ForkingToReplace:",
		Forked:      "Retiring: NoteStart SendTerm ArmKill",
		ForkRefused: "Leaving: ReturnSockets NoteForkFailed CleanAll",
	},
	Running: {
		Run:        "Replacing: StopChecks DropStandby SendTerm ArmKill",
		Retire:     "Retiring: StopChecks DropStandby SendTerm ArmKill",
		Exited:     "Cleaning: StopChecks ReturnIdleSockets Clean NoteDeath",
		CheckDue:   "Running: Ask",
		Checked:    "Running: Judge",
		Recheck:    "Running: StopChecks StartChecks ArmStandby",
		StandbyDue: "Running: Prepare",
		Unhealthy:  "Ending: StopChecks NoteUnhealthy SendTerm ArmKill",
	},
	Ending: {
		Run:         "Replacing: DropStandby",
		Retire:      "Retiring: DropStandby",
		Exited:      "Cleaning: CancelKill ReturnIdleSockets Clean NoteDeath",
		KillElapsed: "Ending: SendKill",
	},
	Replacing: {
		Retire:      "Retiring:",
		Terminate:   "Replacing: SendTerm",
		Exited:      "CleaningToReplace: CancelKill Clean NoteDeath",
		KillElapsed: "Replacing: SendKill",
	},
	Retiring: {
		Run:         "Replacing:",
		Terminate:   "Retiring: SendTerm",
		Exited:      "Leaving: CancelKill ReturnSockets NoteDeath CleanAll",
		KillElapsed: "Retiring: SendKill",
	},
	Cleaning: {
		Run:     "CleaningToReplace: DropStandby",
		Retire:  "CleaningToRetire: DropStandby ReturnSockets",
		Cleaned: "Waiting: ArmRestart",
	},
	CleaningToReplace: {
		Retire:  "CleaningToRetire: ReturnSockets",
		Cleaned: "Opening: OpenSockets",
	},
	CleaningToRetire: {
		Run:     "CleaningToReplace:",
		Cleaned: "Leaving: CleanAll",
	},
	Leaving: {
		Run:     "CleaningToReplace:",
		Cleaned: "Absent: ReportRetired",
	},
}

func words(s State, effects []Effect) string {
	var names []string
	for _, e := range effects {
		names = append(names, e.String())
	}
	return strings.TrimSpace(s.Phase.String() + ": " + strings.Join(names, " "))
}

// someState has different generations everywhere, so that a mix-up shows.
func someState(p Phase) State {
	return State{Phase: p, Start: 10, Restart: 20, Kill: 30, Clean: 40, Check: 50}
}

// current is an event that is not late in s.
func current(s State, k Kind) Event {
	switch k {
	case Leased, LeaseRefused, Forked, ForkRefused, Exited:
		return Event{k, s.Start}
	case RestartElapsed:
		return Event{k, s.Restart}
	case KillElapsed:
		return Event{k, s.Kill}
	case Cleaned:
		return Event{k, s.Clean}
	case CheckDue, Checked, Unhealthy, StandbyDue:
		return Event{k, s.Check}
	}
	return Event{Kind: k}
}

func TestEveryCell(t *testing.T) {
	for p := range phaseCount {
		for k := range kindCount {
			before := someState(p)
			after, effects := Next(before, current(before, k))
			want, ok := grid[p][k]
			if !ok {
				if after != before || len(effects) > 0 {
					t.Errorf("%s on %s: %s, want it ignored", p, k, words(after, effects))
				}
				continue
			}
			if got := words(after, effects); got != want {
				t.Errorf("%s on %s:\n got %s\nwant %s", p, k, got, want)
			}
		}
	}
}

func TestLateEventsAreNothing(t *testing.T) {
	late := []Kind{Leased, LeaseRefused, Forked, ForkRefused, Exited, Cleaned, RestartElapsed, KillElapsed, CheckDue, Checked, Unhealthy}
	for p := range phaseCount {
		for _, k := range late {
			before := someState(p)
			for _, gen := range []uint32{current(before, k).Gen - 1, current(before, k).Gen + 1, 0} {
				if after, effects := Next(before, Event{k, gen}); after != before || effects != nil {
					t.Errorf("%s on %s of generation %d: %s", p, k, gen, words(after, effects))
				}
			}
		}
	}
}

func TestGenerations(t *testing.T) {
	tests := []struct {
		from Phase
		on   Kind
		want State // how much each generation grows
	}{
		{Absent, Run, State{Start: 1}},
		{Opening, Run, State{Start: 1}},
		{Opening, LeaseRefused, State{Restart: 1}},
		{Waiting, Run, State{Start: 1, Restart: 1}},
		{Waiting, Retire, State{Restart: 1, Clean: 1}},
		{Running, Retire, State{Kill: 1, Check: 1}},
		{Forking, Forked, State{Check: 1}},
		{Running, CheckDue, State{}},
		{Running, Recheck, State{Check: 2}},
		{Running, Unhealthy, State{Kill: 1, Check: 1}},
		{Ending, Exited, State{Kill: 1, Clean: 1}},
		{Ending, Run, State{}},
		{Retiring, Exited, State{Kill: 1, Clean: 1}},
		{Retiring, Run, State{}},
		{Replacing, Retire, State{}},
		{Cleaning, Cleaned, State{Restart: 1}},
	}
	for _, test := range tests {
		before := someState(test.from)
		after, _ := Next(before, current(before, test.on))
		got := State{0, after.Start - before.Start, after.Restart - before.Restart, after.Kill - before.Kill, after.Clean - before.Clean, after.Check - before.Check}
		if got != test.want {
			t.Errorf("%s on %s: generations grow by %+v, want %+v", test.from, test.on, got, test.want)
		}
	}
}

// world is what is going on outside of a process actor, as far as its effects
// have brought it about.
type world struct {
	phase           Phase
	leasing, leased bool
	forking, living bool
	cleaning, dirty bool // dirty: a state dir or cgroup may be there
	restartArmed    bool
	killArmed       bool
	checking        bool
	asked           bool // a check is under way
	standby         bool // the next one waits
	desired         bool // the last command was Run
}

// possible are the events that may come in a world, commands last.
func (w world) possible() (events []Kind) {
	for _, e := range []struct {
		may  bool
		kind []Kind
	}{
		{w.leasing, []Kind{Leased, LeaseRefused}},
		{w.forking, []Kind{Forked, ForkRefused}},
		{w.living, []Kind{Exited}},
		{w.cleaning, []Kind{Cleaned}},
		{w.restartArmed, []Kind{RestartElapsed}},
		{w.killArmed, []Kind{KillElapsed}},
		{w.checking, []Kind{Recheck, Unhealthy}},
		{w.checking && !w.asked, []Kind{CheckDue}},
		{w.checking && w.asked, []Kind{Checked}},
		{w.checking && !w.standby, []Kind{StandbyDue}},
	} {
		if e.may {
			events = append(events, e.kind...)
		}
	}
	return events
}

// step is what an event makes of a world; the text says what is wrong with it.
func (w world) step(k Kind) (next world, wrong string) {
	switch k {
	case Run:
		w.desired = true
	case Retire:
		w.desired = false
	case Leased:
		w.leasing, w.leased = false, true
	case LeaseRefused:
		w.leasing = false
	case Forked:
		w.forking, w.living, w.dirty = false, true, true
	case ForkRefused:
		w.forking, w.dirty = false, true
	case Exited:
		w.living = false
	case Cleaned:
		w.cleaning = false
	case RestartElapsed:
		w.restartArmed = false
	case KillElapsed:
		w.killArmed = false
	}
	s := someState(w.phase)
	after, effects := Next(s, current(s, k))
	w.phase = after.Phase
	for _, effect := range effects {
		var text string
		w, text = w.do(effect)
		if text != "" {
			return w, text
		}
	}
	return w, w.contradiction()
}

func (w world) do(effect Effect) (world, string) {
	switch effect {
	case OpenSockets:
		if w.living || w.cleaning || w.dirty {
			return w, "a start is begun while the last container is there"
		}
		// The listener takes the predecessor's sockets for the new ones.
		w.leased, w.leasing = false, true
	case ReturnIdleSockets:
		if !w.standby {
			return w.do(ReturnSockets)
		}
	case Prepare:
		if w.standby || !w.living {
			return w, "a second standby, or one for nobody"
		}
		w.standby = true
	case DropStandby:
		w.standby = false
	case ReturnSockets:
		if w.living || w.forking {
			return w, "sockets are returned while they are in use"
		}
		w.leased, w.leasing = false, false
	case Fork:
		if !w.leased || w.forking || w.living || w.dirty {
			return w, "a fork without sockets, or a second one"
		}
		w.forking, w.standby = true, false // it is given to that
	case SendTerm, SendKill:
		if !w.living {
			return w, "a signal to nobody"
		}
	case ArmKill:
		w.killArmed = true
	case CancelKill:
		w.killArmed = false
	case ArmRestart:
		// Where it is not due at once.
		w.restartArmed, w.standby, w.leased = true, false, false
	case CancelRestart:
		w.restartArmed = false
	case StartChecks:
		if w.checking || !w.living {
			return w, "checks begin beside others, or of nobody"
		}
		w.checking = true
	case StopChecks:
		w.checking, w.asked = false, false
	case Ask:
		if w.asked {
			return w, "two checks at a time"
		}
		w.asked = true
	case Judge:
		w.asked = false
	case Clean, CleanAll:
		if w.cleaning || w.living || w.forking {
			return w, "a clean-up beside another, or of what lives"
		}
		w.cleaning = true
		w.dirty = false
		w.standby = w.standby && effect == Clean
	case ReportRetired:
		if w.leased || w.leasing || w.living || w.forking || w.cleaning || w.dirty || w.restartArmed || w.killArmed || w.standby {
			return w, "reported as retired, but something is left"
		}
	}
	return w, ""
}

// contradiction is what must not be in any world.
func (w world) contradiction() string {
	switch {
	case w.phase != Absent && len(w.possible()) == 0:
		return "nothing will ever happen again"
	case w.phase == Absent && w.desired:
		return "it is wanted, but absent"
	case w.standby && !slices.Contains([]Phase{Running, Ending, Cleaning}, w.phase):
		return "a standby is kept for which there is no use"
	case w.leased && slices.Contains([]Phase{Absent, Waiting, Cleaning, CleaningToRetire, Leaving}, w.phase) && !w.standby:
		return "a socket is kept, but nobody lives and nobody follows at once (G13)"
	case w.killArmed && !w.living:
		return "a kill timer runs for nobody"
	case w.checking != (w.phase == Running):
		return "it is checked while it does not run, or runs and is not checked"
	case w.living != slices.Contains([]Phase{Running, Ending, Replacing, Retiring}, w.phase):
		return "the phase does not say whether it lives"
	}
	return ""
}

// TestEveryWorld walks through everything that can happen, in every order,
// and looks for a start on top of a living container, a signal to nobody, a
// leak, or a state without a way out.
func TestEveryWorld(t *testing.T) {
	type edge struct {
		from world
		on   Kind
	}
	seen := map[world]edge{}
	trace := func(w world, on Kind) string {
		steps := []string{on.String()}
		for w != (world{}) {
			e := seen[w]
			steps = append(steps, e.on.String())
			w = e.from
		}
		slices.Reverse(steps)
		return strings.Join(steps, " ")
	}
	queue := []world{{}}
	phases := map[Phase]bool{}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		phases[w.phase] = true
		for _, k := range append(w.possible(), Run, Retire, Terminate) {
			next, wrong := w.step(k)
			if wrong != "" {
				t.Fatalf("%s: %s (%+v)", trace(w, k), wrong, next)
			}
			if _, ok := seen[next]; !ok && next != (world{}) {
				seen[next] = edge{w, k}
				queue = append(queue, next)
			}
		}
	}
	if len(phases) != int(phaseCount) {
		t.Errorf("only %d of %d phases can be reached", len(phases), phaseCount)
	}
	t.Logf("%d worlds", len(seen)+1)
}

// TestRetireEnds: whatever is going on, after Retire every run of events that
// are not commands leads to Absent.
func TestRetireEnds(t *testing.T) {
	memo := map[world]bool{}
	var ends func(w world, depth int) bool
	ends = func(w world, depth int) bool {
		if done, ok := memo[w]; ok {
			return done
		}
		if depth > 40 {
			return false
		}
		if w.phase == Absent && len(w.possible()) == 0 {
			return true
		}
		for _, k := range w.possible() {
			next, _ := w.step(k)
			if next != w && !ends(next, depth+1) {
				return false
			}
		}
		memo[w] = true
		return true
	}
	var walk func(w world)
	visited := map[world]bool{}
	walk = func(w world) {
		if visited[w] {
			return
		}
		visited[w] = true
		if retired, _ := w.step(Retire); !ends(retired, 0) {
			t.Errorf("does not end after Retire in %+v", w)
		}
		for _, k := range append(w.possible(), Run, Retire) {
			next, _ := w.step(k)
			walk(next)
		}
	}
	walk(world{})
}
