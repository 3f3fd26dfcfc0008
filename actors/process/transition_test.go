package process

import (
	"slices"
	"strings"
	"testing"
)

// grid is the expected table, written a second time from the needs of a
// container's life. An event without a cell is ignored.
var grid = map[string]map[Kind]string{
	"Absent": {
		Run:     "Opening: OpenSockets",
		Adopt:   "Running: NoteAdopt StartChecks ArmStandby",
		Resume:  "Cleaning: Clean",
		Retire:  "Absent: ReportRetired",
		Dismiss: "Absent: StopActor",
	},
	"Waiting": {
		Run:            "Opening: CancelRestart OpenSockets",
		Retire:         "Removing: CancelRestart CleanAll",
		RestartElapsed: "Queued: AskBudget",
		RestartDelayed: "Waiting: DropStandby ReturnSockets",
		Repaced:        "Waiting: ArmRestart",
	},
	"Queued": {
		Run:            "Opening: CancelRestart OpenSockets",
		Retire:         "Removing: CancelRestart CleanAll",
		RestartAllowed: "Opening: OpenSockets",
		RestartDelayed: "Queued: DropStandby ReturnSockets",
	},
	"Opening": {
		Run:             "Opening: OpenSockets",
		Retire:          "Removing: ReturnSockets CleanAll",
		Leased:          "Forking: Fork",
		LeaseRefused:    "Waiting: ReturnSockets NoteLeaseFailed ArmRestart",
		StandbyBuilt:    "Opening: NoteStandbyBuilt",
		StandbyLost:     "Opening: DropStandby NoteStandbyLost",
		StandbyOutdated: "Opening: DropStandby",
	},
	"Forking": {
		Run:         "ForkingToReplace: CancelFork",
		Retire:      "ForkingToRetire: CancelFork",
		Forked:      "Running: NoteStart StartChecks ArmStandby",
		ForkRefused: "Cleaning: ReturnSockets NoteForkFailed Clean",
	},
	"ForkingToReplace": {
		Retire:      "ForkingToRetire: CancelFork",
		Forked:      "EndingToReplace: NoteStart SendTerm ArmKill",
		ForkRefused: "CleaningToReplace: NoteForkFailed Clean",
	},
	"ForkingToRetire": {
		Run:         "ForkingToReplace: CancelFork",
		Forked:      "EndingToRetire: NoteStart SendTerm ArmKill",
		ForkRefused: "Removing: ReturnSockets NoteForkFailed CleanAll",
	},
	"Running": {
		Run:             "EndingToReplace: StopChecks DropStandby SendTerm ArmKill",
		Retire:          "EndingToRetire: StopChecks DropStandby SendTerm ArmKill",
		Exited:          "Cleaning: InspectSockets StopChecks KeepStandby Clean NoteDeath",
		Stopped:         "Running: NoteStopped",
		CheckDue:        "Running: Ask",
		Checked:         "Running: Judge",
		ReadyOverdue:    "Running: JudgeReady",
		SetupOverdue:    "Running: JudgeSetup",
		WatchdogDue:     "Running: JudgeWatchdog",
		Reported:        "Running: TakeReport",
		ReportsEnded:    "Running: TakeLastReport",
		Rechecked:       "Running: StopChecks StartChecks ArmStandby",
		Unhealthy:       "Ending: StopChecks NoteUnhealthy SendTerm ArmKill",
		ServingDue:      "Running: ReportServing",
		StandbyDue:      "Running: Survey",
		SocketsShown:    "Running: Survey",
		StandbySurveyed: "Running: ForkStandby",
		StandbyForked:   "Running: AwaitStandby",
		StandbyBuilt:    "Running: NoteStandbyBuilt",
		StandbyLost:     "Running: DropStandby NoteStandbyLost RetryStandby",
		StandbyOutdated: "Running: DropStandby ArmStandby",
	},
	"Ending": {
		Run:             "EndingToReplace: DropStandby",
		Retire:          "EndingToRetire: DropStandby",
		Exited:          "Cleaning: InspectSockets CancelKill KeepStandby Clean NoteDeath",
		Stopped:         "Ending: NoteStopped",
		KillElapsed:     "Ending: SendKill",
		KillIgnored:     "Ending: NoteStuck",
		StandbySurveyed: "Ending: ForkStandby",
		StandbyForked:   "Ending: AwaitStandby",
		StandbyBuilt:    "Ending: NoteStandbyBuilt",
		StandbyLost:     "Ending: DropStandby NoteStandbyLost",
		StandbyOutdated: "Ending: DropStandby",
	},
	"EndingToReplace": {
		Retire:      "EndingToRetire: DropStandby",
		Terminate:   "EndingToReplace: SendTerm",
		Exited:      "CleaningToReplace: InspectSockets CancelKill Clean NoteDeath",
		Stopped:     "EndingToReplace: NoteStopped",
		KillElapsed: "EndingToReplace: SendKill",
		KillIgnored: "EndingToReplace: NoteStuck",
	},
	"EndingToRetire": {
		Run:         "EndingToReplace: DropStandby",
		Terminate:   "EndingToRetire: SendTerm",
		Exited:      "Removing: InspectSockets CancelKill ReturnSockets NoteDeath CleanAll",
		Stopped:     "EndingToRetire: NoteStopped",
		KillElapsed: "EndingToRetire: SendKill",
		KillIgnored: "EndingToRetire: NoteStuck",
	},
	"Cleaning": {
		Run:             "CleaningToReplace: DropStandby",
		Retire:          "CleaningToRetire: DropStandby ReturnSockets",
		Cleaned:         "Waiting: ArmRestart",
		StandbyBuilt:    "Cleaning: NoteStandbyBuilt",
		StandbyLost:     "Cleaning: DropStandby NoteStandbyLost ReturnSockets",
		StandbyOutdated: "Cleaning: DropStandby ReturnSockets",
	},
	"CleaningToReplace": {
		Retire:  "CleaningToRetire: DropStandby ReturnSockets",
		Cleaned: "Opening: OpenSockets",
	},
	"CleaningToRetire": {
		Run:     "CleaningToReplace: DropStandby",
		Cleaned: "Removing: CleanAll",
	},
	"Removing": {
		Run:     "CleaningToReplace:",
		Cleaned: "Absent: ReportRetired",
	},
}

func words(s State, effects []Effect) string {
	var names []string
	for _, e := range effects {
		names = append(names, e.String())
	}
	return strings.TrimSpace(s.Place.String() + ": " + strings.Join(names, " "))
}

// someState has different generations everywhere, so that a mix-up shows.
func someState(at Place) State {
	return State{Place: at, Start: 10, Restart: 20, Kill: 30, Clean: 40, Check: 50, Standby: 60}
}

// current is an event that is not late in s.
func current(s State, k Kind) Event { return Event{Kind: k, Gen: s.gen(k)} }

// allPlaces are all that a state could say, those that make no sense included.
func allPlaces() (list []Place) {
	for step := range stepCount {
		for goal := range goalCount {
			list = append(list, Place{step, goal})
		}
	}
	return list
}

func TestEveryCell(t *testing.T) {
	seen := map[string]bool{}
	for _, at := range allPlaces() {
		row := grid[at.String()]
		if at != (Place{Removing, ToRetire}) && at.Step == Removing {
			row = nil // its name is without the goal, which is always the same
		}
		for k := range kindCount {
			before := someState(at)
			after, effects := Next(before, current(before, k))
			want, ok := row[k]
			if !ok {
				if after != before || len(effects) > 0 || before.Expects(current(before, k)) {
					t.Errorf("%s on %s: %s, want it ignored", at, k, words(after, effects))
				}
				continue
			}
			seen[at.String()] = true
			if got := words(after, effects); got != want {
				t.Errorf("%s on %s:\n got %s\nwant %s", at, k, got, want)
			}
		}
	}
	if len(seen) != len(grid) || len(places()) != len(grid) {
		t.Errorf("%d places of the table and %d of the grid, want %d", len(places()), len(seen), len(grid))
	}
}

// generations are the kinds of events by the generation that they belong to.
var generations = map[string][]Kind{
	"start": {Leased, LeaseRefused, Forked, ForkRefused, Exited, Stopped, KillIgnored, Reported, ReportsEnded, SocketsShown},
	"wait":  {RestartElapsed, RestartAllowed, RestartDelayed}, "kill": {KillElapsed}, "clean-up": {Cleaned},
	"checks":  {CheckDue, Checked, ReadyOverdue, SetupOverdue, WatchdogDue, Unhealthy, ServingDue, StandbyDue},
	"standby": {StandbySurveyed, StandbyForked, StandbyBuilt, StandbyLost},
	"none":    {Run, Retire, Terminate, Dismiss, Adopt, Resume, Repaced, Rechecked, StandbyOutdated},
}

func TestLateEventsAreNothing(t *testing.T) {
	want := map[string]uint32{"start": 10, "wait": 20, "kill": 30, "clean-up": 40, "checks": 50, "standby": 60, "none": 0}
	count := 0
	for name, kinds := range generations {
		for _, k := range kinds {
			count++
			if got := someState(Place{}).gen(k); got != want[name] {
				t.Errorf("%s has generation %d, want that of the %s", k, got, name)
			}
			if name == "none" {
				continue
			}
			for _, at := range allPlaces() {
				before := someState(at)
				for _, gen := range []uint32{current(before, k).Gen - 1, current(before, k).Gen + 1, 0} {
					late := Event{Kind: k, Gen: gen}
					if after, effects := Next(before, late); after != before || effects != nil || before.Expects(late) {
						t.Errorf("%s on %s of generation %d: %s", at, k, gen, words(after, effects))
					}
				}
			}
		}
	}
	if count != int(kindCount) {
		t.Errorf("%d kinds of events, want %d", count, kindCount)
	}
}

func TestGenerations(t *testing.T) {
	tests := []struct {
		from Step
		goal Goal
		on   Kind
		want State // how much each generation grows
	}{
		{Absent, ToKeep, Run, State{Start: 1}},
		{Opening, ToKeep, Run, State{Start: 1}},
		{Opening, ToKeep, LeaseRefused, State{Restart: 1}},
		{Opening, ToKeep, Leased, State{Standby: 1}},
		{Waiting, ToKeep, Run, State{Start: 1, Restart: 1}},
		{Waiting, ToKeep, Retire, State{Restart: 1, Clean: 1, Standby: 1}},
		{Waiting, ToKeep, Repaced, State{Restart: 1}},
		{Waiting, ToKeep, RestartElapsed, State{}},
		{Queued, ToKeep, RestartAllowed, State{Start: 1}},
		{Queued, ToKeep, Run, State{Start: 1, Restart: 1}},
		{Running, ToKeep, Retire, State{Kill: 1, Check: 1, Standby: 1}},
		{Forking, ToKeep, Forked, State{Check: 1}},
		{Running, ToKeep, CheckDue, State{}},
		{Running, ToKeep, Rechecked, State{Check: 2}},
		{Running, ToKeep, StandbyDue, State{}},
		{Running, ToKeep, StandbyLost, State{Standby: 1}},
		{Running, ToKeep, Unhealthy, State{Kill: 1, Check: 1}},
		{Ending, ToKeep, Exited, State{Kill: 1, Clean: 1}},
		{Ending, ToKeep, Run, State{Standby: 1}},
		{Ending, ToRetire, Exited, State{Kill: 1, Clean: 1, Standby: 1}},
		{Ending, ToRetire, Run, State{Standby: 1}},
		{Ending, ToReplace, Retire, State{Standby: 1}},
		{Cleaning, ToKeep, Cleaned, State{Restart: 1}},
	}
	for _, test := range tests {
		before := someState(Place{test.from, test.goal})
		after, _ := Next(before, current(before, test.on))
		got := State{
			Start: after.Start - before.Start, Restart: after.Restart - before.Restart, Kill: after.Kill - before.Kill,
			Clean: after.Clean - before.Clean, Check: after.Check - before.Check, Standby: after.Standby - before.Standby,
		}
		if got != test.want {
			t.Errorf("%s on %s: generations grow by %+v, want %+v", before.Place, test.on, got, test.want)
		}
	}
}

// TestStarts: these two alone need no other container for the same instance.
func TestStarts(t *testing.T) {
	for _, at := range allPlaces() {
		want := at == Place{Forking, ToKeep} || at == Place{Running, ToKeep}
		if got := someState(at).Starts(); got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}

// world is what happens outside of a process actor, as far as its effects
// have brought it about.
type world struct {
	at              Place
	leasing, leased bool
	forking, living bool
	cleaning, dirty bool // dirty: a state dir or cgroup may be there
	deciding        bool // in this turn: whether a restart may follow at once
	restartArmed    bool
	queued          bool
	killArmed       bool
	checking        bool
	asked           bool // a check is under way
	standby         build
	outdated        bool // in this turn: the standby is dropped
	desired         bool // the last command was Run
}

// build is how far a standby has come.
type build uint8

const (
	noStandby build = iota
	surveying
	preparing
	prepared
)

// inTurn tells whether an effect has raised an event, which no other overtakes.
func (w world) inTurn() bool { return w.deciding || w.outdated }

// possible are the events that may come in a world, without commands.
func (w world) possible() (events []Kind) {
	switch {
	case w.outdated:
		return []Kind{StandbyOutdated}
	case w.deciding && w.at.Step == Queued:
		return []Kind{RestartAllowed, RestartDelayed}
	case w.deciding:
		return []Kind{RestartElapsed, RestartDelayed}
	}
	for _, e := range []struct {
		may  bool
		kind []Kind
	}{
		{w.leasing, []Kind{Leased, LeaseRefused}},
		{w.forking, []Kind{Forked, ForkRefused}},
		{w.living, []Kind{Exited, Stopped}},
		{w.cleaning, []Kind{Cleaned}},
		{w.restartArmed, []Kind{RestartElapsed, Repaced}},
		{w.queued, []Kind{RestartAllowed}},
		{w.killArmed, []Kind{KillElapsed}},
		{w.checking, []Kind{Rechecked, Unhealthy, ReadyOverdue, SetupOverdue, WatchdogDue, Reported, ReportsEnded, ServingDue}},
		{w.checking && !w.asked, []Kind{CheckDue}},
		{w.checking && w.asked, []Kind{Checked}},
		{w.checking && w.standby == noStandby, []Kind{StandbyDue, SocketsShown}},
		{w.standby == surveying, []Kind{StandbySurveyed}},
		{w.standby == preparing, []Kind{StandbyForked}},
		{w.standby == prepared, []Kind{StandbyBuilt}},
		{w.standby != noStandby, []Kind{StandbyLost, StandbyOutdated}},
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
		w.restartArmed, w.deciding = false, false
	case RestartAllowed:
		w.queued, w.deciding = false, false
	case RestartDelayed:
		w.restartArmed, w.queued, w.deciding = w.at.Step == Waiting, w.at.Step == Queued, false
	case KillElapsed:
		w.killArmed = false
	case StandbyOutdated:
		w.outdated = false
	}
	s := someState(w.at)
	if !s.Expects(current(s, k)) && !slices.Contains([]Kind{Run, Retire, Terminate}, k) {
		return w, k.String() + " is ignored"
	}
	after, effects := Next(s, current(s, k))
	w.at = after.Place
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
	case KeepStandby:
		w.outdated = w.standby != prepared
	case Survey:
		if w.standby != noStandby || !w.living {
			return w, "a second standby, or one for nobody"
		}
		w.standby = surveying
	case ForkStandby, AwaitStandby:
		w.standby++
	case DropStandby:
		w.standby = noStandby
	case ReturnSockets:
		if w.living || w.forking {
			return w, "sockets are returned while they are in use"
		}
		w.leased, w.leasing = false, false
	case Fork:
		if !w.leased || w.forking || w.living || w.dirty {
			return w, "a fork without sockets, or a second one"
		}
		w.forking, w.standby = true, noStandby // it is given to that
	case SendTerm, SendKill:
		if !w.living {
			return w, "a signal to nobody"
		}
	case ArmKill:
		w.killArmed = true
	case CancelKill:
		w.killArmed = false
	case ArmRestart, AskBudget:
		w.restartArmed, w.deciding = false, true
	case CancelRestart:
		w.restartArmed, w.queued = false, false
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
		if effect == CleanAll {
			w.standby = noStandby
		}
	case ReportRetired:
		if w.leased || w.leasing || w.living || w.forking || w.cleaning || w.dirty || w.restartArmed || w.queued || w.killArmed || w.standby != noStandby {
			return w, "reported as retired, but something is left"
		}
	}
	return w, ""
}

// contradiction is what must not be in any world.
func (w world) contradiction() string {
	if w.inTurn() {
		return "" // raised events are handled before any other
	}
	switch {
	case w.at.Step != Absent && len(w.possible()) == 0:
		return "nothing will ever happen again"
	case w.at.Step == Absent && w.desired:
		return "it is wanted, but absent"
	case w.standby != noStandby && (w.at.Goal != ToKeep || !slices.Contains([]Step{Running, Ending, Cleaning, Opening}, w.at.Step)):
		return "a standby is kept for which there is no use"
	case w.standby != noStandby && w.standby != prepared && w.at.Step == Cleaning:
		return "a standby is kept that can't follow at once"
	case w.leased && (slices.Contains([]Step{Absent, Waiting, Queued, Removing}, w.at.Step) || w.at.Step == Cleaning && w.at.Goal != ToReplace) && w.standby == noStandby:
		return "a socket is kept, but nobody lives and nobody follows at once (G13)"
	case w.killArmed && !w.living:
		return "a kill timer runs for nobody"
	case w.queued != (w.at.Step == Queued), w.restartArmed != (w.at.Step == Waiting):
		return "the step does not say what a restart waits for"
	case w.checking != (w.at.Step == Running):
		return "it is checked while it does not run, or runs and is not checked"
	case w.living != (w.at.Step == Running || w.at.Step == Ending):
		return "the step does not say whether it lives"
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
	reached := map[Place]bool{}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		reached[w.at] = true
		events := w.possible()
		if !w.inTurn() {
			events = append(events, Run, Retire, Terminate)
		}
		for _, k := range events {
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
	if len(reached) != len(places()) {
		t.Errorf("only %d of %d places can be reached", len(reached), len(places()))
	}
	t.Logf("%d worlds", len(seen)+1)
}

// TestRetireEnds: whatever happens, after Retire every run of events that
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
		if w.at.Step == Absent && len(w.possible()) == 0 {
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
		events := w.possible()
		if !w.inTurn() {
			if retired, _ := w.step(Retire); !ends(retired, 0) {
				t.Errorf("does not end after Retire in %+v", w)
			}
			events = append(events, Run, Retire)
		}
		for _, k := range events {
			next, _ := w.step(k)
			walk(next)
		}
	}
	walk(world{})
}
