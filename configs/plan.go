package configs

import (
	"net/netip"
	"syscall"
	"time"
)

// Plan is a whole host as its four kinds of files describe it: immutable,
// resolved (defaults applied, variables substituted, paths absolute) and
// complete. An object with an error is in it too, marked Broken, so that a
// comparison of two plans can tell "gone" from "unreadable".
type Plan struct {
	Master    *Master
	Sandboxes []*Sandbox // by name
}

// instances are those of a process; a nil plan has none.
func (p *Plan) instances(sandbox, process string) []*Instance {
	if p == nil {
		return nil
	}
	for _, sb := range p.Sandboxes {
		if sb.Name != sandbox {
			continue
		}
		for _, one := range sb.Processes {
			if one.Name == process {
				return one.Instances
			}
		}
	}
	return nil
}

// Sandbox is one `<sandboxes-dir>/<name>.yaml` with the processes that its
// process file asks for.
type Sandbox struct {
	Name string
	File string // absolute path of the sandbox config

	// Broken says that the sandbox config itself can't be used: Config is
	// nil, nothing is known of its processes.
	Broken bool
	// ProcessesBroken says that the process file is missing or can't be
	// parsed: nothing is known of the processes (which is not "none").
	ProcessesBroken bool

	Config      *SandboxConfig
	ProcessFile string     // absolute path of the process config
	Processes   []*Process // by name
}

// Process is one entry of a process config.
type Process struct {
	Name string
	// Broken says that its entry or its container config has an error:
	// Instances is empty, what runs under this name is to be left alone.
	Broken bool

	Kind   Kind // KindDaemon or KindCommand
	Config *ProcessConfig
	// Instances has one element an instance for a daemon, and exactly one,
	// index 0, for a command.
	Instances []*Instance
}

// MaxUnavailable is how many of its instances may be replaced at a time; 0 = all.
func (p *Process) MaxUnavailable() int {
	if p.Config == nil {
		return 0
	}
	return p.Config.MaxUnavailable
}

// Instance is one container to run.
type Instance struct {
	// Name is "SANDBOX/PROCESS.INDEX". A command's is only known when it is
	// started (see WithName), until then it is "SANDBOX/cmd.PROCESS".
	Name    string
	Sandbox string
	Process string
	Index   int

	// JSON is the instance's part of the process config in canonical form:
	// the `--config` of lithos_knot and the line in the config log.
	JSON string
	// Fingerprint is equal for two instances if and only if a container
	// made from either would be the same (requirement C23): a hash of
	// Container without what only the supervisor looks at.
	Fingerprint string
	Container   *Container

	recipe *recipe
}

// Container is the effective container: everything resolved that the
// container, its sockets or its supervision would see.
type Container struct {
	Image      string // absolute host path
	ConfigFile string // absolute path inside the image

	Kind   Kind // as the container config says: may be KindCommandOrDaemon
	UserID uint32
	// GroupID is the primary and only group.
	GroupID        uint32
	UIDMap, GIDMap []IDMap // the map in force, from the sandbox or the container; nil = no user namespace
	// MapImageOwners is the sandbox's map-image-owners, ours: files in the
	// image belong to inside ids. False without a user namespace.
	MapImageOwners bool

	MemoryLimit int64  // bytes; 0 = none
	CPUShares   uint64 // 1024 is the default share
	FilenoLimit uint64 // RLIMIT_NOFILE, soft and hard
	PIDsLimit   int64  // processes and threads; 0 = none
	CPUQuota    int64  // thousandths of a processor; 0 = none
	CPUSet      string // processors to use, "0-3,5"; "" = all
	IOLimits    []IOLimit

	// Exceptions of the sandbox from the hardening (requirement K10), and its
	// seccomp profile.
	AllowNewPrivileges bool
	AddCapabilities    []string // by name, such as "NET_RAW", sorted
	WritableProcSys    bool
	UnmaskKernelFiles  bool
	Seccomp            string // SeccompDefault; "" = none

	RestartTimeout     time.Duration  // between two starts
	RestartBackoff     RestartBackoff `json:",omitzero"`  // ours: what it grows to after failures
	Ready              *Ready         `json:",omitempty"` // ours; nil = once it runs
	Healthcheck        *Healthcheck   `json:",omitempty"` // ours
	Standby            bool           `json:",omitzero"`  // ours: the next one waits already
	KillTimeout        time.Duration  // between StopSignal and KILL
	StopSignal         syscall.Signal `json:",omitzero"` // ours
	RestartProcessOnly bool
	NormalExitCodes    []int
	Interactive        bool

	Executable string
	Arguments  []string // without argv[0]
	// Environ is sorted by name and has LITHOS_NAME, LITHOS_CONFIG and, for
	// systemd activation, LISTEN_FDS and LISTEN_FDNAMES in it; TERM is the
	// caller's to add where Environ has none.
	Environ []EnvVar
	// PIDVariables names the variables whose whole value is the program's
	// pid inside the container (LISTEN_PID, `@{lithos:pid}`); not in Environ.
	PIDVariables []string
	Workdir      string

	SecretEnviron     []SecretVar // none of the names is in Environ or PIDVariables
	SecretEnvironFile string      // inside the image; where SecretEnviron comes from
	SecretsPrivateKey string      // host path; only with SecretEnviron
	SecretsNamespaces []string    // the sandbox's and the process's; only with SecretEnviron

	ResolvConf ResolvConf
	HostsFile  HostsFile

	StdoutStderrFile string   // path inside the container; "" = the sandbox's file
	Volumes          []Volume // shorter mount points first, then by name
	TCPPorts         []TCPPort
	Network          *Network // nil = the host's network
}

// IOLimit is what a container may do to a block device, a second; 0 = no limit.
type IOLimit struct {
	Device                string // absolute path
	ReadBytes, WriteBytes uint64
	ReadOps, WriteOps     uint64
}

// SeccompDefault is the profile `seccomp: default`.
const SeccompDefault = "default"

// EnvVar is one environment variable.
type EnvVar struct{ Name, Value string }

// SecretVar is one variable of secret-environ: sealed values, the first that
// opens wins.
type SecretVar struct {
	Name   string
	Values []string `json:",omitempty"`
	// Hash is the short hash of the secret, as it stands in the value that
	// opened; "" if nobody may try. It tells one secret from another.
	Hash string `json:",omitempty"`
}

// IDMap is one line of a uid-map or gid-map.
type IDMap struct{ Inside, Outside, Count uint32 }

// ResolvConf is the resolv-conf option with the sandbox's source file.
type ResolvConf struct {
	Mount        *bool // nil = where the image has a regular file there
	CopyFromHost bool
	Source       string // host path
}

// HostsFile is the hosts-file option with the sandbox's source file and hosts.
type HostsFile struct {
	Mount          *bool
	CopyFromHost   bool
	Localhost      bool
	PublicHostname bool
	Source         string // host path
	Additional     []Host // by name
}

// Host is one line of additional-hosts.
type Host struct {
	Name string
	Addr netip.Addr
}

// VolumeKind is the tag of a volume.
type VolumeKind string

// The kinds of volumes, as in section "Volumes" of the manual.
const (
	VolumeReadonly   VolumeKind = "Readonly"
	VolumePersistent VolumeKind = "Persistent"
	VolumeStatedir   VolumeKind = "Statedir"
	VolumeTmpfs      VolumeKind = "Tmpfs"
)

// Volume is one volume, its virtual path already looked up (longest prefix).
type Volume struct {
	MountPoint string // absolute path inside the container
	Kind       VolumeKind

	// Source is the host directory of the sandbox's readonly-paths or
	// writable-paths entry; Readonly and Persistent only.
	Source string
	// SubPath is the rest of the virtual path below Source (or, for
	// Statedir, below the state dir); "" or without a leading slash. It is to be resolved
	// inside Source: a container may have put symlinks there.
	SubPath string

	Mkdir       bool   // Persistent: create SubPath
	Mode        uint32 // of what is created; tmpfs: of its root
	User, Group uint32 // of what is created, ids inside the container
	Size        int64  // tmpfs, bytes
	Exec        bool   // ours: no noexec
}

// TCPPort is one listening socket that is passed to the program.
type TCPPort struct {
	Port      uint16
	FD        int
	Host      netip.Addr
	IPv6Only  *bool // nil = as the kernel's sysctl says
	Backlog   int
	ReuseAddr bool
	ReusePort bool
	NonBlock  bool
	External  bool
}

// Network is a container's place in a bridged network.
type Network struct {
	Bridge     string
	Prefix     netip.Prefix // `network`
	Address    netip.Addr   // the instance's; invalid for a command without one
	Gateway    netip.Addr   // invalid = none
	AfterSetup []string     // after-setup-command, variables substituted
}
