package process

// Step is how far the container's life has come.
type Step uint8

// The steps.
const (
	Absent   Step = iota // no container, nothing to clean up
	Waiting              // for restart-timeout or restart-backoff
	Queued               // for restart-budget
	Opening              // listening sockets are being leased
	Forking              // the spawner has the request
	Running              // PID 1 lives
	Ending               // TERM is sent
	Cleaning             // dead, its state dir is being removed
	Removing             // its cgroup and record are being removed, too
	stepCount
)

var stepNames = [stepCount]string{
	"Absent", "Waiting", "Queued", "Opening", "Forking", "Running", "Ending", "Cleaning", "Removing",
}

func (s Step) String() string { return stepNames[s] }

// Goal is what follows the present container.
type Goal uint8

// The goals. Only steps that can't be broken off have another one than ToKeep,
// and Removing is always ToRetire.
const (
	ToKeep    Goal = iota // the container itself, or its restart
	ToReplace             // a new container, at once
	ToRetire              // nothing
	goalCount
)

var goalNames = [goalCount]string{"", "ToReplace", "ToRetire"}

// Place is a step with its goal: a row of the table.
type Place struct {
	Step Step
	Goal Goal
}

func (p Place) String() string {
	if p.Step == Removing {
		return p.Step.String()
	}
	return p.Step.String() + goalNames[p.Goal]
}

// Kind is the kind of an event.
type Kind uint8

// The kinds of events.
const (
	Run             Kind = iota // asked to run a new or changed instance
	Retire                      // asked to end it for good
	Terminate                   // asked to send TERM again
	Dismiss                     // asked to end the actor
	Adopt                       // a daemon that is dead has started it, and it runs
	Resume                      // a daemon that is dead was waiting to restart it
	Leased                      // by the listener
	LeaseRefused                // by the listener
	Forked                      // by the spawner
	ForkRefused                 // by the spawner
	Exited                      // PID 1 is dead and reaped
	Stopped                     // PID 1 was stopped by a signal, or continued
	Cleaned                     // the clean-up is done
	KillElapsed                 // kill-timeout and grace since TERM
	KillIgnored                 // PID 1 lives long after SIGKILL
	RestartElapsed              // the wait for the restart is over
	RestartAllowed              // by restart-budget
	RestartDelayed              // it can't follow at once
	Repaced                     // options of the wait changed
	CheckDue                    // time for a check
	Checked                     // its result
	ReadyOverdue                // too long for `within` of ready
	SetupOverdue                // too long for the set-up
	WatchdogDue                 // time to look for WATCHDOG=1
	Reported                    // the program has sent something to its socket
	ReportsEnded                // the program said that it is ready, or can't any more
	Unhealthy                   // one of these says that it has to be restarted
	Rechecked                   // options of its checks changed
	ServingDue                  // it may serve by now
	StandbyDue                  // time to build the standby
	SocketsShown                // by the listener, for the standby
	StandbySurveyed             // the inputs of the standby are known
	StandbyForked               // by the spawner
	StandbyBuilt                // it waits
	StandbyLost                 // it could not be built, or died
	StandbyOutdated             // it can't be what follows
	kindCount
)

var kindNames = [kindCount]string{
	"Run", "Retire", "Terminate", "Dismiss", "Adopt", "Resume", "Leased", "LeaseRefused", "Forked", "ForkRefused",
	"Exited", "Stopped", "Cleaned", "KillElapsed", "KillIgnored", "RestartElapsed", "RestartAllowed", "RestartDelayed", "Repaced",
	"CheckDue", "Checked", "ReadyOverdue", "SetupOverdue", "WatchdogDue", "Reported", "ReportsEnded", "Unhealthy", "Rechecked",
	"ServingDue", "StandbyDue", "SocketsShown", "StandbySurveyed", "StandbyForked", "StandbyBuilt", "StandbyLost", "StandbyOutdated",
}

func (k Kind) String() string { return kindNames[k] }

// Effect is something that the actor is to do, in the order of the list.
type Effect uint8

// The effects. Some of them cause an event, and say so.
const (
	OpenSockets      Effect = iota // → Leased or LeaseRefused
	InspectSockets                 // of a container that is dead
	ReturnSockets                  //
	Fork                           // → Forked or ForkRefused
	CancelFork                     // if it is not begun yet
	SendTerm                       //
	SendKill                       // → KillIgnored
	ArmKill                        // → KillElapsed
	CancelKill                     //
	ArmRestart                     // → RestartElapsed, RestartDelayed
	CancelRestart                  //
	AskBudget                      // → RestartAllowed, RestartDelayed
	Clean                          // the state dir → Cleaned
	CleanAll                       // cgroup and record too → Cleaned
	NoteStart                      // log and count
	NoteAdopt                      // log, without counting a start
	NoteDeath                      // log and count
	NoteLeaseFailed                // log
	NoteForkFailed                 // log and count
	NoteStopped                    // log
	NoteStuck                      // log
	StartChecks                    // → CheckDue, ReadyOverdue, SetupOverdue, WatchdogDue, Reported, ReportsEnded, ServingDue
	StopChecks                     //
	Ask                            // → Checked
	Judge                          // the result → CheckDue or Unhealthy
	JudgeReady                     // → Unhealthy
	JudgeSetup                     // → SetupOverdue or Unhealthy
	JudgeWatchdog                  // → WatchdogDue or Unhealthy
	TakeReport                     // → ReportsEnded or Unhealthy
	TakeLastReport                 // → Checked
	NoteUnhealthy                  // log
	ReportServing                  // to the sandbox, or → ServingDue
	ArmStandby                     // → StandbyDue
	RetryStandby                   // → StandbyDue
	Survey                         // for the standby → StandbySurveyed, StandbyDue, SocketsShown or StandbyLost
	ForkStandby                    // → StandbyForked or StandbyLost
	AwaitStandby                   // → StandbyBuilt, StandbyLost
	KeepStandby                    // for the restart, or → StandbyOutdated
	DropStandby                    //
	NoteStandbyBuilt               //
	NoteStandbyLost                // log
	ReportRetired                  // to the sandbox
	StopActor                      //
	effectCount
)

var effectNames = [effectCount]string{
	"OpenSockets", "InspectSockets", "ReturnSockets", "Fork", "CancelFork", "SendTerm", "SendKill", "ArmKill", "CancelKill", "ArmRestart",
	"CancelRestart", "AskBudget", "Clean", "CleanAll", "NoteStart", "NoteAdopt", "NoteDeath", "NoteLeaseFailed", "NoteForkFailed",
	"NoteStopped", "NoteStuck", "StartChecks", "StopChecks", "Ask", "Judge", "JudgeReady", "JudgeSetup", "JudgeWatchdog",
	"TakeReport", "TakeLastReport", "NoteUnhealthy", "ReportServing", "ArmStandby", "RetryStandby", "Survey", "ForkStandby",
	"AwaitStandby", "KeepStandby", "DropStandby", "NoteStandbyBuilt", "NoteStandbyLost", "ReportRetired", "StopActor",
}

func (e Effect) String() string { return effectNames[e] }

// State is all that decides what an event does. The numbers are generations:
// an answer or a timer that carries another one is late and dropped.
type State struct {
	Place
	Start   uint32 // of OpenSockets and all that follows from it
	Restart uint32 // of the wait for the restart
	Kill    uint32 // of the kill timer
	Clean   uint32 // of the clean-up
	Check   uint32 // of the checks of one container
	Standby uint32 // of the standby
}

// Event is a kind with the generation it belongs to (0 for those that have
// none), and the error that it brings, which decides nothing here.
type Event struct {
	Kind Kind
	Gen  uint32
	Err  error
}

// Rule is the reaction to an event in a step, for one goal or for several.
type Rule struct {
	From    Step
	Goals   goals
	On      Kind
	To      Step
	Goal    Goal // same: as before
	Effects []Effect
}

type goals uint8

const (
	keep    goals = 1 << ToKeep
	replace goals = 1 << ToReplace
	retire  goals = 1 << ToRetire
	anyGoal       = keep | replace | retire

	same = goalCount
)

//go:generate go test . -run Diagram -update

// Rules are the whole behaviour; other events are ignored.
var Rules = []Rule{
	{Absent, keep, Run, Opening, same, []Effect{OpenSockets}},
	{Absent, keep, Adopt, Running, same, []Effect{NoteAdopt, StartChecks, ArmStandby}},
	{Absent, keep, Resume, Cleaning, same, []Effect{Clean}},
	{Absent, keep, Retire, Absent, same, []Effect{ReportRetired}},
	{Absent, keep, Dismiss, Absent, same, []Effect{StopActor}},

	{Waiting, keep, RestartElapsed, Queued, same, []Effect{AskBudget}},
	{Waiting, keep, RestartDelayed, Waiting, same, []Effect{DropStandby, ReturnSockets}},
	{Waiting, keep, Repaced, Waiting, same, []Effect{ArmRestart}},
	{Waiting, keep, Run, Opening, same, []Effect{CancelRestart, OpenSockets}},
	{Waiting, keep, Retire, Removing, ToRetire, []Effect{CancelRestart, CleanAll}},

	{Queued, keep, RestartAllowed, Opening, same, []Effect{OpenSockets}},
	{Queued, keep, RestartDelayed, Queued, same, []Effect{DropStandby, ReturnSockets}},
	{Queued, keep, Run, Opening, same, []Effect{CancelRestart, OpenSockets}},
	{Queued, keep, Retire, Removing, ToRetire, []Effect{CancelRestart, CleanAll}},

	{Opening, keep, Leased, Forking, same, []Effect{Fork}},
	{Opening, keep, LeaseRefused, Waiting, same, []Effect{ReturnSockets, NoteLeaseFailed, ArmRestart}},
	{Opening, keep, Run, Opening, same, []Effect{OpenSockets}},
	{Opening, keep, Retire, Removing, ToRetire, []Effect{ReturnSockets, CleanAll}},

	// While the fork is under way its sockets must stay open.
	{Forking, keep, Forked, Running, same, []Effect{NoteStart, StartChecks, ArmStandby}},
	{Forking, replace | retire, Forked, Ending, same, []Effect{NoteStart, SendTerm, ArmKill}},
	{Forking, keep, ForkRefused, Cleaning, same, []Effect{ReturnSockets, NoteForkFailed, Clean}},
	{Forking, replace, ForkRefused, Cleaning, same, []Effect{NoteForkFailed, Clean}},
	{Forking, retire, ForkRefused, Removing, same, []Effect{ReturnSockets, NoteForkFailed, CleanAll}},
	{Forking, keep | retire, Run, Forking, ToReplace, []Effect{CancelFork}},
	{Forking, keep | replace, Retire, Forking, ToRetire, []Effect{CancelFork}},

	// The state dir goes while the death is being described; the record is
	// read before a clean-up that removes it.
	{Running, keep, Exited, Cleaning, same, []Effect{InspectSockets, StopChecks, KeepStandby, Clean, NoteDeath}},
	{Running, keep, Run, Ending, ToReplace, []Effect{StopChecks, DropStandby, SendTerm, ArmKill}},
	{Running, keep, Retire, Ending, ToRetire, []Effect{StopChecks, DropStandby, SendTerm, ArmKill}},
	{Running, keep, Unhealthy, Ending, same, []Effect{StopChecks, NoteUnhealthy, SendTerm, ArmKill}},
	{Running, keep, Stopped, Running, same, []Effect{NoteStopped}},

	{Running, keep, CheckDue, Running, same, []Effect{Ask}},
	{Running, keep, Checked, Running, same, []Effect{Judge}},
	{Running, keep, ReadyOverdue, Running, same, []Effect{JudgeReady}},
	{Running, keep, SetupOverdue, Running, same, []Effect{JudgeSetup}},
	{Running, keep, WatchdogDue, Running, same, []Effect{JudgeWatchdog}},
	{Running, keep, Reported, Running, same, []Effect{TakeReport}},
	{Running, keep, ReportsEnded, Running, same, []Effect{TakeLastReport}},
	{Running, keep, Rechecked, Running, same, []Effect{StopChecks, StartChecks, ArmStandby}},
	{Running, keep, ServingDue, Running, same, []Effect{ReportServing}},

	// To keep, the restart follows as after a death of its own: restart-timeout
	// counts. To replace, the sockets stay leased until the successor has leased
	// its own: on a port that both have, nobody is refused in between (G12).
	{Ending, keep, Exited, Cleaning, same, []Effect{InspectSockets, CancelKill, KeepStandby, Clean, NoteDeath}},
	{Ending, replace, Exited, Cleaning, same, []Effect{InspectSockets, CancelKill, Clean, NoteDeath}},
	{Ending, retire, Exited, Removing, same, []Effect{InspectSockets, CancelKill, ReturnSockets, NoteDeath, CleanAll}},
	{Ending, anyGoal, KillElapsed, Ending, same, []Effect{SendKill}},
	{Ending, anyGoal, KillIgnored, Ending, same, []Effect{NoteStuck}},
	{Ending, anyGoal, Stopped, Ending, same, []Effect{NoteStopped}},
	{Ending, replace | retire, Terminate, Ending, same, []Effect{SendTerm}},
	// The kill timer runs on (N8).
	{Ending, keep | retire, Run, Ending, ToReplace, []Effect{DropStandby}},
	{Ending, keep | replace, Retire, Ending, ToRetire, []Effect{DropStandby}},

	{Cleaning, keep, Cleaned, Waiting, same, []Effect{ArmRestart}},
	{Cleaning, replace, Cleaned, Opening, ToKeep, []Effect{OpenSockets}},
	{Cleaning, retire, Cleaned, Removing, same, []Effect{CleanAll}},
	{Cleaning, keep | retire, Run, Cleaning, ToReplace, []Effect{DropStandby}},
	{Cleaning, keep | replace, Retire, Cleaning, ToRetire, []Effect{DropStandby, ReturnSockets}},

	{Removing, retire, Cleaned, Absent, ToKeep, []Effect{ReportRetired}},
	{Removing, retire, Run, Cleaning, ToReplace, nil},

	{Running, keep, StandbyDue, Running, same, []Effect{Survey}},
	{Running, keep, SocketsShown, Running, same, []Effect{Survey}},
	{Running, keep, StandbySurveyed, Running, same, []Effect{ForkStandby}},
	{Running, keep, StandbyForked, Running, same, []Effect{AwaitStandby}},
	{Running, keep, StandbyBuilt, Running, same, []Effect{NoteStandbyBuilt}},
	{Running, keep, StandbyLost, Running, same, []Effect{DropStandby, NoteStandbyLost, RetryStandby}},
	{Running, keep, StandbyOutdated, Running, same, []Effect{DropStandby, ArmStandby}},

	{Ending, keep, StandbySurveyed, Ending, same, []Effect{ForkStandby}},
	{Ending, keep, StandbyForked, Ending, same, []Effect{AwaitStandby}},
	{Ending, keep, StandbyBuilt, Ending, same, []Effect{NoteStandbyBuilt}},
	{Ending, keep, StandbyLost, Ending, same, []Effect{DropStandby, NoteStandbyLost}},
	{Ending, keep, StandbyOutdated, Ending, same, []Effect{DropStandby}},

	// The sockets were kept for it.
	{Cleaning, keep, StandbyBuilt, Cleaning, same, []Effect{NoteStandbyBuilt}},
	{Cleaning, keep, StandbyLost, Cleaning, same, []Effect{DropStandby, NoteStandbyLost, ReturnSockets}},
	{Cleaning, keep, StandbyOutdated, Cleaning, same, []Effect{DropStandby, ReturnSockets}},

	{Opening, keep, StandbyBuilt, Opening, same, []Effect{NoteStandbyBuilt}},
	{Opening, keep, StandbyLost, Opening, same, []Effect{DropStandby, NoteStandbyLost}},
	{Opening, keep, StandbyOutdated, Opening, same, []Effect{DropStandby}},
}

// cell is the reaction to an event in a place.
type cell struct {
	to      Place
	effects []Effect
}

// cells are Rules by place and kind; nil is ignored.
var cells = func() (t [stepCount][goalCount][kindCount]*cell) {
	for _, r := range Rules {
		for goal := range goalCount {
			if r.Goals&(1<<goal) == 0 {
				continue
			}
			at := &t[r.From][goal][r.On]
			if *at != nil {
				panic("two rules for " + Place{r.From, goal}.String() + " on " + r.On.String())
			}
			to := Place{r.To, r.Goal}
			if r.Goal == same {
				to.Goal = goal
			}
			*at = &cell{to, r.Effects}
		}
	}
	return t
}()

// Next is the behaviour: the next state and the effects of an event in a state.
// It has no side effects; the list must not be changed.
func Next(s State, e Event) (State, []Effect) {
	if !s.Expects(e) {
		return s, nil
	}
	c := cells[s.Step][s.Goal][e.Kind]
	s.Place = c.to
	for _, effect := range c.effects {
		switch effect {
		case OpenSockets, NoteAdopt:
			s.Start++
		case ArmRestart, CancelRestart:
			s.Restart++
		case ArmKill, CancelKill:
			s.Kill++
		case Clean:
			s.Clean++
		case CleanAll:
			s.Clean++
			s.Standby++
		case StartChecks, StopChecks:
			s.Check++
		case DropStandby, Fork:
			s.Standby++
		}
	}
	return s, c.effects
}

// Expects tells whether the event does anything: one that is not in the table, or
// belongs to something that is over, does not.
func (s State) Expects(e Event) bool {
	return cells[s.Step][s.Goal][e.Kind] != nil && e.Gen == s.gen(e.Kind)
}

// gen is the generation of an event that is not late.
func (s State) gen(k Kind) uint32 {
	switch k {
	case Leased, LeaseRefused, Forked, ForkRefused, Exited, Stopped, KillIgnored, Reported, ReportsEnded, SocketsShown:
		return s.Start
	case RestartElapsed, RestartAllowed, RestartDelayed:
		return s.Restart
	case KillElapsed:
		return s.Kill
	case Cleaned:
		return s.Clean
	case CheckDue, Checked, ReadyOverdue, SetupOverdue, WatchdogDue, Unhealthy, ServingDue, StandbyDue:
		return s.Check
	case StandbySurveyed, StandbyForked, StandbyBuilt, StandbyLost:
		return s.Standby
	}
	return 0
}

// Starts tells whether the present container is, or is about to be, the one that
// is wanted: a [Run] of the same would change nothing.
func (s State) Starts() bool { return s.Goal == ToKeep && (s.Step == Running || s.Step == Forking) }
