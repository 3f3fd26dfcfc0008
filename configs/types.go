package configs

import (
	"net/netip"

	"lithos/configs/document"
)

// Kind is what a process or container config is for.
type Kind string

// The kinds of processes and of containers.
const (
	KindDaemon          Kind = "Daemon"
	KindCommand         Kind = "Command"
	KindCommandOrDaemon Kind = "CommandOrDaemon"
)

// Master is the master config with its defaults applied and every directory
// absolute (section B of docs/requirements.md).
type Master struct {
	File         string // absolute path of the file itself
	SandboxesDir string
	ProcessesDir string
	RuntimeDir   string
	StateDir     string
	MountDir     string
	DevfsDir     string

	CgroupName        string   // "" = cgroups are off
	CgroupControllers []string // never empty
	// CgroupOnDemand are controllers that are used as soon as a container has
	// an option that needs them: none where cgroup-controllers is given.
	CgroupOnDemand []string

	DefaultLogDir  string
	ConfigLogDir   string // "" = off
	StdioLogDir    string
	LogFile        string // absolute
	LogLevel       string // error, warn, info, debug, trace, off
	LogFormat      string // text, json, journal (ours)
	SyslogFacility string // "" = files
	SyslogName     string

	ControlGroup string // name or number of the group that may read the control socket; "" = none (ours)
	// MetricsListen is where metrics can be asked for by everybody; not valid
	// = nowhere (ours).
	MetricsListen netip.AddrPort
	// RestartBudget bounds the restarts of the host (ours).
	RestartBudget RestartBudget
}

// SandboxConfig is a sandbox config with its defaults applied (section C of
// docs/requirements.md).
type SandboxConfig struct {
	ConfigFile     string // absolute path of the process config
	ImageDir       string
	ImageDirLevels int
	LogFile        string // absolute
	LogLevel       string
	ReadonlyPaths  map[string]string
	WritablePaths  map[string]string
	AllowUsers     []Range
	AllowGroups    []Range
	DefaultUser    *uint32
	DefaultGroup   uint32
	AllowTCPPorts  []Range
	Additional     []Host // additional-hosts
	UIDMap, GIDMap []IDMap
	UsedImagesList string
	AutoClean      bool
	ResolvConf     string
	HostsFile      string
	Bridged        *BridgedNetwork
	MapImageOwners bool

	SecretsPrivateKey string
	SecretsNamespaces []string

	// StdioLogMaxSize is what the file of the programs' output may take, bytes,
	// 0 = no limit; StdioLogKeep is how many parts are kept beside it (ours).
	StdioLogMaxSize int64
	StdioLogKeep    int

	// The most that a container may have, and what it has if it says nothing.
	PIDsLimit, CPUQuota int64 // as in Container; 0 = no limit
	CPUSet              string
	IOLimits            []IOLimit // by device

	AllowNewPrivileges bool
	AddCapabilities    []string
	WritableProcSys    bool
	UnmaskKernelFiles  bool
	Seccomp            string
}

// BridgedNetwork is the bridged-network option of a sandbox.
type BridgedNetwork struct {
	Bridge            string
	Network           netip.Prefix
	DefaultGateway    netip.Addr // invalid = none
	AfterSetupCommand []string
}

// ProcessConfig is one entry of a process config (section D
// of docs/requirements.md).
type ProcessConfig struct {
	Kind                   Kind
	Image                  string // relative to image-dir
	Config                 string // absolute inside the image
	Instances              int
	IPAddresses            []netip.Addr
	Variables              map[string]string
	ExtraSecretsNamespaces []string
	MaxUnavailable         int // ours: instances that are replaced at a time; 0 = all
}

// Range is an inclusive range of ids or ports.
type Range = document.Range
