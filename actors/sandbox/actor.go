package sandbox

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/services/logs"
	"lithos/actors/services/rotation"
	"lithos/configs"
)

// Sandbox is the actor.
type Sandbox struct {
	name     string
	services *Services
	log      zerolog.Logger // the root's, until this sandbox's own is open

	logFile   *logs.Sandbox
	env       *process.Env
	instances map[string]*instance
	turns     map[string]*turns // by process, of those that have a limit
	ending    bool
}

// instance is the sandbox's view of a process actor.
type instance struct {
	pid     *actor.PID
	process string
	wanted  *configs.Instance // nil = it is to end
	// told is what its actor starts next, and version the fingerprint of what it was
	// told to run: if that is not what is wanted, it waits for its turn. They differ for
	// a container that was adopted, whose old config nobody knows.
	told    *configs.Instance
	version string       // "" = nothing
	env     *process.Env // that it was sent
}

// New makes the actor.
func New(name string, services *Services, log zerolog.Logger) *Sandbox {
	return &Sandbox{
		name:      name,
		services:  services,
		log:       log,
		instances: make(map[string]*instance),
		turns:     make(map[string]*turns),
	}
}

// Receive implements actor.Actor.
func (s *Sandbox) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *ApplySandbox:
		s.apply(ctx, m)
	case *EndSandbox:
		s.end(ctx, m.Shutdown)
	case *TerminateAgain:
		for _, inst := range s.instances {
			ctx.Send(inst.pid, &process.TerminateAgain{})
		}
	case *Flush:
		for _, inst := range s.instances {
			m.Group.Add(1)
			ctx.Send(inst.pid, &process.Flush{Done: m.Group.Done})
		}
		m.Group.Done()
	case *LeaveSandbox:
		if s.ending && len(s.instances) == 0 {
			ctx.Stop(ctx.Self())
		}
	case *process.InstanceRetired:
		if inst := s.instances[m.Name]; inst != nil && inst.wanted == nil {
			ctx.Send(inst.pid, &process.DismissInstance{})
		}
	case *process.InstanceServes:
		s.instanceServes(ctx, m)
	case *actor.Terminated:
		s.instanceLeft(ctx, m.Who)
	case *actor.Stopped:
		s.services.Rotation.Forget(s.name)
		if s.logFile != nil {
			s.logFile.Close()
		}
	}
}

// apply starts, updates, replaces and retires.
func (s *Sandbox) apply(ctx actor.Context, m *ApplySandbox) {
	s.ending = false
	s.openLog(m.Sandbox.Config)
	env := &process.Env{
		Kernel:   s.services.Kernel,
		Timers:   s.services.Timers,
		Listener: s.services.Listener,
		Spawner:  s.services.Spawner,
		Log:      s.log,
		Board:    s.services.Board,
		Deaths:   s.services.Deaths,
		Budget:   s.services.Budget,
		Shared:   countDaemons(m.Sandbox) > 1,
		Cleaners: s.services.Cleaners,
		Checkers: s.services.Checkers,
		Commands: s.services.Commands,
		Paths:    m.Paths,
	}
	if s.env == nil || !s.env.Same(env) {
		s.env = env
	}
	s.services.Rotation.Set(s.name, rotation.Limit{
		Path: m.Paths.StdioLog, Max: m.Sandbox.Config.StdioLogMaxSize, Keep: m.Sandbox.Config.StdioLogKeep,
	}, s.log)
	if m.ConfigLogDir != "" {
		if err := logConfig(m.ConfigLogDir, m.Sandbox); err != nil {
			s.log.Error().Msgf("Cannot write the config log of sandbox %q: %v", s.name, err)
		}
	}
	for _, t := range s.turns {
		t.most = 0 // until its process says otherwise
	}
	wanted := make(map[string]bool)
	for _, p := range m.Sandbox.Processes {
		// Commands are lithos_cmd's to start (D2, N14).
		if p.Kind == configs.KindCommand {
			continue
		}
		s.limit(p.Name, p.MaxUnavailable())
		for _, inst := range p.Instances {
			wanted[inst.Name] = true
			s.adopt(ctx, inst, m.Adopted[inst.Name])
		}
		for _, inst := range p.Instances {
			s.want(ctx, inst)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.instances)) {
		if !wanted[name] {
			s.retire(ctx, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.turns)) {
		s.goOn(ctx, s.turns[name]) // there may be more of them now
		if s.turns[name].most == 0 {
			delete(s.turns, name)
		}
	}
}

// countDaemons is how many containers write into the sandbox's output file.
func countDaemons(sb *configs.Sandbox) int {
	n := 0
	for _, p := range sb.Processes {
		if p.Kind != configs.KindCommand {
			n += len(p.Instances)
		}
	}
	return n
}

func (s *Sandbox) openLog(c *configs.SandboxConfig) {
	var err error
	if s.logFile == nil {
		s.logFile, err = s.services.Logs.Sandbox(s.name, c)
	} else {
		err = s.logFile.Reload(c)
	}
	s.log = s.logFile.Logger()
	if err != nil {
		s.log.Error().Msgf("Sandbox %q continues without its own log: %v; see log-file in its config", s.name, err)
	}
}

// want has an instance run: started, replaced if the container changed and when it
// is its turn, or only updated.
func (s *Sandbox) want(ctx actor.Context, wanted *configs.Instance) {
	inst := s.instances[wanted.Name]
	if inst == nil {
		inst = &instance{pid: s.spawn(ctx, wanted), process: wanted.Process}
		if inst.pid == nil {
			return
		}
		s.instances[wanted.Name] = inst
	}
	same := inst.told == wanted && inst.env == s.env
	inst.wanted, inst.env = wanted, s.env
	turns := s.turns[inst.process]
	switch {
	case inst.version == "":
		s.run(ctx, inst)
	case inst.version == wanted.Fingerprint && inst.told.Fingerprint == wanted.Fingerprint:
		turns.forget(wanted.Name)
		if same {
			return // a reload that has changed nothing for it
		}
		inst.told = wanted
		ctx.Send(inst.pid, &process.UpdateInstance{Instance: wanted, Env: s.env})
	case inst.version == wanted.Fingerprint:
		// The change that it waited with was taken back; it may have ended, and been
		// started as what it was told, meanwhile.
		turns.forget(wanted.Name)
		s.run(ctx, inst)
	case turns.take(wanted.Name):
		s.replace(ctx, inst)
	default:
		s.log.Warn().Msgf("The config of container %q changed: it waits for its turn, at most %d of %q are replaced at a time", wanted.Name, turns.most, inst.process)
		ctx.Send(inst.pid, &process.UpdateInstance{Instance: inst.told, Env: s.env})
	}
}

// replace has an instance run as it is wanted, instead of as it was.
func (s *Sandbox) replace(ctx actor.Context, inst *instance) {
	s.log.Warn().Msgf("The config of container %q changed: replacing it", inst.wanted.Name)
	s.run(ctx, inst)
}

func (s *Sandbox) run(ctx actor.Context, inst *instance) {
	inst.told, inst.version = inst.wanted, inst.wanted.Fingerprint
	ctx.Send(inst.pid, &process.RunInstance{
		Instance: inst.wanted, Env: s.env, ReportServing: s.turns[inst.process].has(inst.wanted.Name),
	})
}

// adopt makes the actor of a container that runs already. It has to be there
// before the root hears of the container's death.
func (s *Sandbox) adopt(ctx actor.Context, wanted *configs.Instance, adopted *process.Adopted) {
	if adopted == nil || s.instances[wanted.Name] != nil {
		return
	}
	pid := s.spawn(ctx, wanted)
	if pid == nil {
		return
	}
	s.instances[wanted.Name] = &instance{pid: pid, process: wanted.Process, wanted: wanted, told: wanted, version: adopted.Fingerprint}
	// It may have had its turn just before the last daemon ended.
	turns := s.turns[wanted.Process]
	settles := turns != nil && adopted.Fingerprint == wanted.Fingerprint && !adopted.Serves(wanted.Container)
	if settles {
		turns.taken[wanted.Name] = true
	}
	ctx.Send(pid, &process.AdoptInstance{Instance: wanted, Env: s.env, Adopted: adopted, ReportServing: settles})
	if adopted.Noted {
		return
	}
	if adopted.Dead {
		exit := actors.Exit{PID: adopted.Child.PID, Unknown: true}
		if adopted.Exit != nil {
			exit = *adopted.Exit
		}
		ctx.Send(pid, &process.ProcessExited{Gen: process.AdoptedGen, Exit: exit})
		return
	}
	ctx.Send(ctx.Parent(), &ContainerAdopted{Adopted: adopted, Owner: pid})
}

func (s *Sandbox) spawn(ctx actor.Context, inst *configs.Instance) *actor.PID {
	counters := s.services.Registry.Of(s.name + "/" + inst.Process)
	pid, err := ctx.SpawnNamed(actors.ChildProps("process "+inst.Name, s.log, process.New(inst.Name, counters)),
		filepath.Base(inst.Name))
	if err != nil {
		s.log.Error().Msgf("Cannot supervise %q: %v", inst.Name, err)
		return nil
	}
	return pid
}

func (s *Sandbox) retire(ctx actor.Context, name string) {
	inst := s.instances[name]
	if inst.wanted == nil {
		return
	}
	inst.wanted, inst.version = nil, ""
	s.log.Warn().Msgf("Container %q is to run no more: ending it", name)
	ctx.Send(inst.pid, &process.RetireInstance{})
	s.releaseTurn(ctx, name, inst.process)
}

func (s *Sandbox) end(ctx actor.Context, shutdown bool) {
	s.ending = true
	clear(s.turns)
	for _, inst := range s.instances {
		if inst.wanted != nil {
			inst.wanted, inst.version = nil, ""
			ctx.Send(inst.pid, &process.RetireInstance{Shutdown: shutdown})
		}
	}
	s.reportEnd(ctx)
}

// instanceLeft follows the end of a process actor. If the instance came to be
// wanted again after it had been told to leave, another actor takes over.
func (s *Sandbox) instanceLeft(ctx actor.Context, who *actor.PID) {
	for name, inst := range s.instances {
		if !inst.pid.Equal(who) {
			continue
		}
		delete(s.instances, name)
		s.releaseTurn(ctx, name, inst.process)
		if inst.wanted != nil {
			s.want(ctx, inst.wanted)
		}
		break
	}
	s.reportEnd(ctx)
}

func (s *Sandbox) reportEnd(ctx actor.Context) {
	if s.ending && len(s.instances) == 0 {
		ctx.Send(ctx.Parent(), &SandboxEnded{s.name})
	}
}
