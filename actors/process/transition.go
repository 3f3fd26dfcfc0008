package process

// Phase is where the container's life stands.
type Phase uint8

// The phases. "ToReplace" and "ToRetire" say what comes after something that
// can't be broken off.
const (
	Absent            Phase = iota // nothing runs, nothing is left
	Waiting                        // for restart-timeout
	Opening                        // listening sockets are being leased
	Forking                        // the spawner has the request
	ForkingToReplace               // … but a newer config has come
	ForkingToRetire                // … but it is wanted no more
	Running                        // PID 1 lives
	Ending                         // unhealthy: TERM sent, a restart follows
	Replacing                      // TERM sent, a new container follows
	Retiring                       // TERM sent, nothing follows
	Cleaning                       // dead, its state dir is being removed
	CleaningToReplace              // … a new container follows at once
	CleaningToRetire               // … nothing follows
	Leaving                        // all that is left is being removed
	phaseCount
)

var phaseNames = [phaseCount]string{
	"Absent", "Waiting", "Opening", "Forking", "ForkingToReplace", "ForkingToRetire", "Running",
	"Ending", "Replacing", "Retiring", "Cleaning", "CleaningToReplace", "CleaningToRetire", "Leaving",
}

func (p Phase) String() string { return phaseNames[p] }

// Kind is what has happened.
type Kind uint8

// The kinds of events.
const (
	Run            Kind = iota // asked to run a new or changed instance
	Retire                     // asked to end it for good
	Terminate                  // asked to send TERM again
	Leave                      // asked to end the actor
	Leased                     // by the listener
	LeaseRefused               // by the listener
	Forked                     // by the spawner
	ForkRefused                // by the spawner
	Exited                     // PID 1 is dead and reaped
	Cleaned                    // the clean-up is done
	RestartElapsed             // restart-timeout since the last start
	KillElapsed                // kill-timeout and grace since TERM
	Adopt                      // a daemon that is dead has left it running
	Resume                     // a daemon that is dead was waiting to restart it
	CheckDue                   // time to ask whether it serves
	Checked                    // the answer
	Unhealthy                  // it failed too many checks, or took too long to be ready
	Recheck                    // the options of its checks changed
	StandbyDue                 // time to build the next one
	kindCount
)

var kindNames = [kindCount]string{
	"Run", "Retire", "Terminate", "Leave", "Leased", "LeaseRefused", "Forked", "ForkRefused",
	"Exited", "Cleaned", "RestartElapsed", "KillElapsed", "Adopt", "Resume",
	"CheckDue", "Checked", "Unhealthy", "Recheck", "StandbyDue",
}

func (k Kind) String() string { return kindNames[k] }

// Effect is something that the actor is to do, in the order of the list.
type Effect uint8

// The effects. Those that say so bring an event about later.
const (
	OpenSockets       Effect = iota // → Leased or LeaseRefused
	ReturnSockets                   //
	ReturnIdleSockets               // unless a standby has them, too
	Fork                            // → Forked or ForkRefused
	SendTerm                        //
	SendKill                        //
	ArmKill                         // → KillElapsed
	CancelKill                      //
	ArmRestart                      // → RestartElapsed
	CancelRestart                   //
	Clean                           // the state dir → Cleaned
	CleanAll                        // cgroup and record too → Cleaned
	NoteStart                       // log and count
	NoteAdopt                       // log, without counting a start
	NoteDeath                       // log and count
	NoteLeaseFailed                 // log
	NoteForkFailed                  // log and count
	StartChecks                     // → CheckDue, Unhealthy
	StopChecks                      //
	Ask                             // → Checked
	Judge                           // the answer → CheckDue or Unhealthy
	NoteUnhealthy                   // log
	ArmStandby                      // → StandbyDue
	Prepare                         // the standby
	DropStandby                     //
	ReportRetired                   // to the sandbox
	StopActor                       //
	effectCount
)

var effectNames = [effectCount]string{
	"OpenSockets", "ReturnSockets", "ReturnIdleSockets", "Fork", "SendTerm", "SendKill", "ArmKill", "CancelKill", "ArmRestart",
	"CancelRestart", "Clean", "CleanAll", "NoteStart", "NoteAdopt", "NoteDeath", "NoteLeaseFailed", "NoteForkFailed",
	"StartChecks", "StopChecks", "Ask", "Judge", "NoteUnhealthy", "ArmStandby", "Prepare", "DropStandby", "ReportRetired", "StopActor",
}

func (e Effect) String() string { return effectNames[e] }

// State is all that decides what an event does. The numbers are generations:
// an answer or a timer that carries another one comes too late and is nothing.
type State struct {
	Phase   Phase
	Start   uint32 // of OpenSockets and all that follows from it
	Restart uint32 // of the restart timer
	Kill    uint32 // of the kill timer
	Clean   uint32 // of the clean-up
	Check   uint32 // of the checks of one container
}

// Event is a kind with the generation it belongs to (0 for commands, which
// have none).
type Event struct {
	Kind Kind
	Gen  uint32
}

// Transition is one cell of the table that does something.
type Transition struct {
	From    Phase
	On      Kind
	To      Phase
	Effects []Effect
}

//go:generate go test . -run Diagram -update

// Transitions is the whole behaviour; what is not in it is ignored.
var Transitions = []Transition{
	{Absent, Run, Opening, []Effect{OpenSockets}},
	{Absent, Adopt, Running, []Effect{NoteAdopt, StartChecks, ArmStandby}},
	{Absent, Resume, Cleaning, []Effect{Clean}},
	{Absent, Retire, Absent, []Effect{ReportRetired}},
	{Absent, Leave, Absent, []Effect{StopActor}},

	{Waiting, RestartElapsed, Opening, []Effect{OpenSockets}},
	{Waiting, Run, Opening, []Effect{CancelRestart, OpenSockets}},
	{Waiting, Retire, Leaving, []Effect{CancelRestart, CleanAll}},

	{Opening, Leased, Forking, []Effect{Fork}},
	{Opening, LeaseRefused, Waiting, []Effect{ReturnSockets, NoteLeaseFailed, ArmRestart}},
	{Opening, Run, Opening, []Effect{OpenSockets}},
	{Opening, Retire, Leaving, []Effect{ReturnSockets, CleanAll}},

	// While the fork is under way its sockets must stay open.
	{Forking, Forked, Running, []Effect{NoteStart, StartChecks, ArmStandby}},
	{Forking, ForkRefused, Cleaning, []Effect{ReturnSockets, NoteForkFailed, Clean}},
	{Forking, Run, ForkingToReplace, nil},
	{Forking, Retire, ForkingToRetire, nil},

	{ForkingToReplace, Forked, Replacing, []Effect{NoteStart, SendTerm, ArmKill}},
	{ForkingToReplace, ForkRefused, CleaningToReplace, []Effect{NoteForkFailed, Clean}},
	{ForkingToReplace, Retire, ForkingToRetire, nil},

	{ForkingToRetire, Forked, Retiring, []Effect{NoteStart, SendTerm, ArmKill}},
	{ForkingToRetire, ForkRefused, Leaving, []Effect{ReturnSockets, NoteForkFailed, CleanAll}},
	{ForkingToRetire, Run, ForkingToReplace, nil},

	// The state dir goes while the death is being described; the record is
	// read before a clean-up that removes it.
	{Running, Exited, Cleaning, []Effect{StopChecks, ReturnIdleSockets, Clean, NoteDeath}},
	{Running, Run, Replacing, []Effect{StopChecks, DropStandby, SendTerm, ArmKill}},
	{Running, Retire, Retiring, []Effect{StopChecks, DropStandby, SendTerm, ArmKill}},
	{Running, CheckDue, Running, []Effect{Ask}},
	{Running, Checked, Running, []Effect{Judge}},
	{Running, Recheck, Running, []Effect{StopChecks, StartChecks, ArmStandby}},
	{Running, StandbyDue, Running, []Effect{Prepare}},
	{Running, Unhealthy, Ending, []Effect{StopChecks, NoteUnhealthy, SendTerm, ArmKill}},

	// It goes the way of one that ended by itself: restart-timeout counts.
	{Ending, Exited, Cleaning, []Effect{CancelKill, ReturnIdleSockets, Clean, NoteDeath}},
	{Ending, KillElapsed, Ending, []Effect{SendKill}},
	{Ending, Run, Replacing, []Effect{DropStandby}}, // the kill timer runs on
	{Ending, Retire, Retiring, []Effect{DropStandby}},

	// The sockets stay leased until the successor has leased its own: on a
	// port that both have, nobody is refused in between (G12).
	{Replacing, Exited, CleaningToReplace, []Effect{CancelKill, Clean, NoteDeath}},
	{Replacing, KillElapsed, Replacing, []Effect{SendKill}},
	{Replacing, Terminate, Replacing, []Effect{SendTerm}},
	{Replacing, Retire, Retiring, nil}, // the kill timer runs on (N8)

	{Retiring, Exited, Leaving, []Effect{CancelKill, ReturnSockets, NoteDeath, CleanAll}},
	{Retiring, KillElapsed, Retiring, []Effect{SendKill}},
	{Retiring, Terminate, Retiring, []Effect{SendTerm}},
	{Retiring, Run, Replacing, nil},

	{Cleaning, Cleaned, Waiting, []Effect{ArmRestart}},
	{Cleaning, Run, CleaningToReplace, []Effect{DropStandby}},
	{Cleaning, Retire, CleaningToRetire, []Effect{DropStandby, ReturnSockets}},

	{CleaningToReplace, Cleaned, Opening, []Effect{OpenSockets}},
	{CleaningToReplace, Retire, CleaningToRetire, []Effect{ReturnSockets}},

	{CleaningToRetire, Cleaned, Leaving, []Effect{CleanAll}},
	{CleaningToRetire, Run, CleaningToReplace, nil},

	{Leaving, Cleaned, Absent, []Effect{ReportRetired}},
	{Leaving, Run, CleaningToReplace, nil},
}

// cells is Transitions by phase and kind; nil is ignored.
var cells = func() (t [phaseCount][kindCount]*Transition) {
	for i := range Transitions {
		c := &Transitions[i]
		if t[c.From][c.On] != nil {
			panic("two transitions from " + c.From.String() + " on " + c.On.String())
		}
		t[c.From][c.On] = c
	}
	return t
}()

// Next is the behaviour: what becomes of a state when something happens, and
// what is to be done. It has no side effects; the list must not be changed.
func Next(s State, e Event) (State, []Effect) {
	c := cells[s.Phase][e.Kind]
	if c == nil || e.late(s) {
		return s, nil
	}
	s.Phase = c.To
	for _, effect := range c.Effects {
		switch effect {
		case OpenSockets, NoteAdopt:
			s.Start++
		case ArmRestart, CancelRestart:
			s.Restart++
		case ArmKill, CancelKill:
			s.Kill++
		case Clean, CleanAll:
			s.Clean++
		case StartChecks, StopChecks:
			s.Check++
		}
	}
	return s, c.Effects
}

// late tells whether the event belongs to something that is over.
func (e Event) late(s State) bool {
	switch e.Kind {
	case Leased, LeaseRefused, Forked, ForkRefused, Exited:
		return e.Gen != s.Start
	case RestartElapsed:
		return e.Gen != s.Restart
	case KillElapsed:
		return e.Gen != s.Kill
	case Cleaned:
		return e.Gen != s.Clean
	case CheckDue, Checked, Unhealthy, StandbyDue:
		return e.Gen != s.Check
	}
	return false
}
