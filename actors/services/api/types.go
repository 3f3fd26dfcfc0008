package api

import (
	"math"
	"time"
)

// States of an instance: what [Instance.State] can be.
const (
	StatePending  = "pending"  // wanted, nothing has been done yet
	StateStarting = "starting" // sockets are opened, PID 1 is forked
	StateRunning  = "running"  // PID 1 lives
	StateWaiting  = "waiting"  // dead; NextTry says when it is started again
	// StateRestarting: it is ended because it is unhealthy, or was not ready in
	// time, and will be started again.
	StateRestarting = "restarting"
	StateReplacing  = "replacing" // it is ended, another version follows at once
	StateStopping   = "stopping"  // it is ended for good
)

// Conditions of an instance: what [Instance.Conditions] can have.
const (
	// ConditionFailing: the last container, or try, failed, and none has run
	// for ten seconds since.
	ConditionFailing = "failing"
	// ConditionDegraded: it runs without something that was asked for;
	// Degraded says what.
	ConditionDegraded = "degraded"
	// ConditionFrozen: its config is broken in the files; an earlier version
	// is used, which they don't have any more.
	ConditionFrozen = "frozen"
	// ConditionNotReady: it runs, but is not ready yet.
	ConditionNotReady = "unready"
	// ConditionUnhealthy: its healthcheck failed the last time, or it is ended
	// because of that.
	ConditionUnhealthy = "unhealthy"
	// ConditionOutdated: an earlier version runs.
	ConditionOutdated = "outdated"
	// ConditionSuspended: its PID 1, or its program, is stopped by a signal, or
	// a debugger; SIGCONT lets it continue.
	ConditionSuspended = "suspended"
	// ConditionSilent: its program can't be looked at. It executes another one and
	// waits, in that, for a file system that does not answer.
	ConditionSilent = "silent"
)

// Status is everything: GET /v1/status.
type Status struct {
	Daemon Daemon `json:"daemon"`
	Reload Reload `json:"reload"`
	// Problems are those of the last reading of the configs.
	Problems []Problem `json:"problems"`
	// Objects are the sandboxes and processes that are broken in the files.
	Objects   []Object   `json:"objects"`
	Instances []Instance `json:"instances"`
	// Seq is the newest event that is in it: events after it are news.
	Seq uint64 `json:"seq"`
}

// Daemon is the lithos_tree that answers.
type Daemon struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// ID is another one for each run of the daemon: sequence numbers and
	// generations start over with it.
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Uptime   float64   `json:"uptime"` // seconds
	Config   string    `json:"config"` // the master config
	LogLevel string    `json:"log_level"`
}

// Reload is how far the daemon is with reading its configs. Its start is
// generation 1; each QUIT has the next one begin, several may share one.
type Reload struct {
	// Begun is the reading that was begun last, Done the one that ended last.
	Begun uint64 `json:"begun"`
	Done  uint64 `json:"done"`
	// At is when Done ended.
	At time.Time `json:"at,omitzero"`
	// Refused says why Done changed nothing; "" = it was applied, except for
	// Objects.
	Refused string `json:"refused,omitempty"`
}

// Problem is something wrong with a config file.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`   // from 1; 0 = the file as a whole
	Column   int    `json:"column,omitempty"` // from 1
	Path     string `json:"path,omitempty"`   // such as "web.instances"
	Text     string `json:"text"`
	Severity string `json:"severity"` // "error" or "warning"
	Sandbox  string `json:"sandbox,omitempty"`
	Process  string `json:"process,omitempty"`
}

// Object is a sandbox, or a process of one, that is broken in the files.
type Object struct {
	Sandbox string `json:"sandbox"`
	Process string `json:"process,omitempty"` // "" = the sandbox
	// State is "frozen" where an earlier version is used, "refused" where
	// there is none.
	State    string    `json:"state"`
	Problems []Problem `json:"problems"`
}

// States of an object.
const (
	ObjectFrozen  = "frozen"
	ObjectRefused = "refused"
)

// Instances is GET /v1/instances.
type Instances struct {
	Instances []Instance `json:"instances"`
	Seq       uint64     `json:"seq"`
}

// Instance is one container, or the place of one.
type Instance struct {
	Name    string `json:"name"` // "SANDBOX/PROCESS.INDEX"
	Sandbox string `json:"sandbox"`
	Process string `json:"process"`
	Index   int    `json:"index"`

	State      string    `json:"state"`
	Since      time.Time `json:"since,omitzero"` // of State; the daemon always knows it
	Conditions []string  `json:"conditions,omitempty"`
	// Degraded lists missing limits, in a sentence each.
	Degraded []string `json:"degraded,omitempty"`
	// Standby is what becomes of the container that is to follow: "building",
	// "waiting"; absent if there is none (yet).
	Standby string `json:"standby,omitempty"`
	// Problems are those of its config, if it is frozen.
	Problems []Problem `json:"problems,omitempty"`
	// Words is all that in a sentence.
	Words string `json:"words"`

	PID        int `json:"pid,omitempty"`         // PID 1 of the container, on the host
	ProgramPID int `json:"program_pid,omitempty"` // the program, on the host
	// Started is when PID 1 was forked, ProgramStarted when the program was
	// executed last (with restart-process-only that may be later).
	Started        time.Time `json:"started,omitzero"`
	ProgramStarted time.Time `json:"program_started,omitzero"`
	Uptime         float64   `json:"uptime,omitempty"` // seconds since Started

	// Starts counts the attempts to start it, also by earlier daemons that were
	// killed or upgraded, as long as it was wanted. FailuresInRow counts the
	// failures since it last ran for ten seconds.
	Starts        int       `json:"starts"`
	Restarts      int       `json:"restarts"` // Starts but the first
	FailuresInRow int       `json:"failures_in_row"`
	NextTry       time.Time `json:"next_try,omitzero"`
	NextTryWhy    string    `json:"next_try_why,omitempty"`
	LastExit      *Exit     `json:"last_exit,omitempty"`

	// Ready and Health are what its checks say; absent where it has none, or
	// does not run.
	Ready  *Ready  `json:"ready,omitempty"`
	Health *Health `json:"health,omitempty"`

	// Says is the status of its program (STATUS of sd_notify); absent if
	// it has said nothing.
	Says string `json:"says,omitempty"`

	// Running is what the present container was made from, Desired what the
	// next one would be; absent if it is to be gone.
	Running *Version `json:"running,omitempty"`
	Desired *Version `json:"desired,omitempty"`

	Log   string `json:"log,omitempty"` // the file of its output on the host
	Usage *Usage `json:"usage,omitempty"`
}

// Ready is whether a container is ready, by the option ready of its config.
type Ready struct {
	Ready bool      `json:"ready"`
	At    time.Time `json:"at,omitzero"`   // since when
	Check string    `json:"check"`         // the probe, in words
	Why   string    `json:"why,omitempty"` // why it is not, by the last check
}

// Health is the result of a container's healthcheck.
type Health struct {
	Failures int    `json:"failures"` // in a row
	Allowed  int    `json:"allowed"`  // so many end it
	Check    string `json:"check"`    // the probe, in words
	Why      string `json:"why,omitempty"`
}

// Version identifies the config of a container.
type Version struct {
	Image       string `json:"image"`       // directory on the host
	Config      string `json:"config"`      // file inside the image
	Fingerprint string `json:"fingerprint"` // of all that the container sees
}

// Exit is how a container, or a try to start one, ended.
type Exit struct {
	At      time.Time `json:"at"`
	Words   string    `json:"words"`
	Code    int       `json:"code"` // of the program; -1 = a signal, or unknown
	Signal  int       `json:"signal,omitempty"`
	PID     int       `json:"pid,omitempty"` // that its PID 1 had
	Cause   string    `json:"cause"`         // see the Cause constants
	Failure bool      `json:"failure"`       // as the metric counts it
	Uptime  float64   `json:"uptime"`        // seconds
	// Fingerprint is of the version that ended, as in [Version]: in a switch it
	// tells an end of the old one from one of the new one.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Lived is Uptime.
func (e *Exit) Lived() time.Duration {
	return time.Duration(math.Round(e.Uptime * float64(time.Second)))
}

// Causes of a death: who asked for it.
const (
	CauseItself      = "itself"       // the program exited, or crashed
	CauseOperator    = "operator"     // a signal that lithos did not send
	CauseReplaced    = "replaced"     // its config changed
	CauseRemoved     = "removed"      // it is not in the configs any more
	CauseShutdown    = "shutdown"     // lithos_tree was told to stop
	CauseKillTimeout = "kill-timeout" // it did not end within its kill-timeout; Asked says who wanted it to
	CauseOOM         = "oom"          // the kernel killed the program for want of memory
	CauseSetup       = "setup"        // it could not be started
	CauseHealth      = "healthcheck"  // its healthcheck failed
	CauseInternal    = "internal"     // its PID 1 crashed, or left no record
)

// Death is the record of one death, or of a start that failed. The last ten of
// each instance are kept, over restarts of the daemon.
type Death struct {
	Name    string `json:"name"`
	Sandbox string `json:"sandbox"`
	Process string `json:"process"`
	Exit
	// Asked is who had asked it to end, if anybody had: a cause.
	Asked   string    `json:"asked,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Restart int       `json:"restart"` // how many starts were before, see Instance.Starts

	OOMKills    *int64 `json:"oom_kills,omitempty"`   // processes of it that the kernel killed for want of memory
	MemoryPeak  *int64 `json:"memory_peak,omitempty"` // bytes
	MemoryLimit int64  `json:"memory_limit,omitempty"`
	// CPU is the seconds that it took, all processes of it, and MaxRSS the
	// bytes of the largest of the program and its children.
	CPU    *float64 `json:"cpu,omitempty"`
	MaxRSS int64    `json:"max_rss,omitempty"`

	Version  *Version `json:"version,omitempty"`
	Degraded []string `json:"degraded,omitempty"`
	// SocketsShutDown are the addresses of its listening sockets on which a program
	// had called shutdown(2) by then, most likely its own.
	SocketsShutDown []string `json:"sockets_shut_down,omitempty"`

	// Output are the last lines in the log of its sandbox, from its start on.
	// OutputShared: others write into that log too, so that some may be theirs.
	Output       []string `json:"output,omitempty"`
	OutputFile   string   `json:"output_file,omitempty"`
	OutputShared bool     `json:"output_shared,omitempty"`
}

// Deaths is GET /v1/deaths and GET /v1/instances/SANDBOX/PROCESS.INDEX/deaths,
// the newest first.
type Deaths struct {
	Deaths []Death `json:"deaths"`
}

// Usage is the usage of its cgroup, read on demand. Values that the kernel lacks
// are left out.
type Usage struct {
	Memory      *int64   `json:"memory,omitempty"`      // bytes, with the page cache
	MemoryPeak  *int64   `json:"memory_peak,omitempty"` // bytes
	MemoryLimit *int64   `json:"memory_limit,omitempty"`
	CPU         *float64 `json:"cpu,omitempty"` // seconds, of all containers in that place
	Processes   *int64   `json:"processes,omitempty"`
	OOMKills    *int64   `json:"oom_kills,omitempty"`
}

// Event is something that happened. GET /v1/events gives one a line.
type Event struct {
	// Seq counts up by one; a gap is told by an event of its own.
	Seq    uint64    `json:"seq"`
	At     time.Time `json:"at"`
	Type   string    `json:"type"` // see the Event constants
	Name   string    `json:"name,omitempty"`
	State  string    `json:"state,omitempty"`
	PID    int       `json:"pid,omitempty"`
	Reload uint64    `json:"reload,omitempty"`
	Text   string    `json:"text,omitempty"`
	// Daemon is the daemon's ID, in the first line.
	Daemon string `json:"daemon,omitempty"`
	// Missed is how many events are lost to the reader, who is too slow or
	// came too late: he has to ask for the status again.
	Missed uint64 `json:"missed,omitempty"`
}

// Types of events.
const (
	EventHello  = "hello"  // the first line: Daemon, and the Seq that it continues from
	EventState  = "state"  // an instance is in another state
	EventReady  = "ready"  // a container became ready
	EventHealth = "health" // its healthcheck failed, Text says how, or passes again
	EventDeath  = "death"  // a container ended or could not be started; Text says how
	EventGone   = "gone"   // an instance is gone for good
	EventReload = "reload" // the configs were read; Text says why that was refused
	EventMissed = "missed" // Missed events are not kept any more
)

// WaitResult is GET /v1/wait.
type WaitResult struct {
	// OK: it is as was asked for; else the time was over.
	OK bool `json:"ok"`
	// Missing says in a sentence each what is not as was asked for.
	Missing   []string   `json:"missing,omitempty"`
	Reload    Reload     `json:"reload"`
	Instances []Instance `json:"instances"` // the instances of the request
	Seq       uint64     `json:"seq"`
}

// ReloadAsked is POST /v1/reload: wait for Generation to be done.
type ReloadAsked struct {
	Generation uint64 `json:"generation"`
}

// LogLevel is GET and PUT /v1/log-level.
type LogLevel struct {
	Level string `json:"level"`
}

// Error is the body of an answer that is none.
type Error struct {
	Status int    `json:"status"` // of HTTP
	Text   string `json:"error"`
}

func (e *Error) Error() string { return e.Text }
