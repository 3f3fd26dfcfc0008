package spawn

import "lithos/spawn/wire"

// The names of package wire that actors use.
type (
	Spec           = wire.Spec
	ResolvConf     = wire.ResolvConf
	Hosts          = wire.Hosts
	Mount          = wire.Mount
	VolumeKind     = wire.VolumeKind
	Volume         = wire.Volume
	ProgramStarted = wire.ProgramStarted
	ProgramExited  = wire.ProgramExited
)

// The values of Mount.
const (
	MountAuto   = wire.MountAuto
	MountAlways = wire.MountAlways
	MountNever  = wire.MountNever
)

// The kinds of volumes, as in section "Volumes" of the manual.
const (
	Readonly   = wire.Readonly
	Persistent = wire.Persistent
	Statedir   = wire.Statedir
	Tmpfs      = wire.Tmpfs
)

// Descriptors of a fresh PID 1.
const (
	FDSpec    = wire.FDSpec
	FDRecord  = wire.FDRecord
	FDSockets = wire.FDSockets
)

// Exit codes of lithos_knot (requirement N6).
const (
	ExitNormal   = wire.ExitNormal
	ExitSetup    = wire.ExitSetup
	ExitAbnormal = wire.ExitAbnormal
	ExitKilled   = wire.ExitKilled
)

// StopSignal asks PID 1 to stop: unlike TERM it can't be lost, however early it
// comes.
const StopSignal = wire.StopSignal
