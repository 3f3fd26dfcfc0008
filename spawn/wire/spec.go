package wire

import "time"

// Spec is everything that PID 1 needs to build one container and run one
// program in it. Paths are host paths unless said otherwise. It holds no
// decision that is left to make: defaults, variables, ids and virtual paths
// have been resolved.
type Spec struct {
	Name string // "SANDBOX/PROCESS.INDEX"

	// The root file system.
	Image      string
	MountDir   string // empty directory, `<runtime-dir>/mnt`
	DevfsDir   string
	StateDir   string // this container's own; made again at each start
	ResolvConf ResolvConf
	Hosts      Hosts
	Volumes    []Volume // in the order of mounting

	// The program.
	Executable       string   // absolute, inside the container
	Argv             []string // with argv[0]
	Env              []string // NAME=VALUE
	PIDVars          []string // names of variables set to the program's own pid
	Workdir          string   // inside the container
	UserID, GroupID  uint32
	FilenoLimit      uint64
	StdioLog         string // appended to, stdout and stderr; "" = the inherited 1 and 2
	StdoutStderrFile string // inside the container; "" = StdioLog
	Interactive      bool   // leave 0, 1 and 2 as they were inherited
	Terminal         bool   // and 0 is a terminal for this container alone
	// Sockets lists, for each inherited socket, the descriptor that the
	// program gets it as (0 or 3 and up), or [KeptByPID1]. Their order is that
	// of Request.Sockets.
	Sockets []int

	// Supervision.
	Command            bool // exit status 0 is a normal end
	RestartProcessOnly bool
	RestartTimeout     time.Duration
	KillTimeout        time.Duration
	NormalExitCodes    []int
	StopSignal         uint32 // passed to the program for TERM; 0 = TERM

	// Exceptions of the sandbox from the hardening (requirement K10), and its
	// seccomp profile.
	AddCapabilities   uint64 // to the bounding set, bit n for capability n
	NewPrivileges     bool   // no no_new_privs, and the image without nosuid
	WritableProcSys   bool   // proc's files that act on the host
	UnmaskKernelFiles bool   // and those that tell about it
	Seccomp           string // compiled program; "" = none

	// HostUser and HostGroup are UserID and GroupID as the host knows them,
	// and others than those in a user namespace.
	HostUser, HostGroup uint32
	// MapImage shows the image's files with their owners as inside ids.
	MapImage bool
	Network  Network // zero = the host's, or loopback alone

	// CgroupFDs is how many descriptors follow the sockets, by which the
	// program joins its cgroups; filled in at the start.
	CgroupFDs int
	// CgroupV2 says that the first of them is a directory for
	// CLONE_INTO_CGROUP; the others are `tasks` files.
	CgroupV2 bool
	// UserNS and NetNS say that a user namespace and a network namespace for
	// the program follow the cgroups' descriptors, in this order; filled in at
	// the start.
	UserNS, NetNS bool
	// Standby says that one more descriptor follows, see package knot: what has
	// been built waits there until its program is to run.
	Standby bool
}

// KeptByPID1 stands in Spec.Sockets for one that the program does not get.
const KeptByPID1 = -1

// Network is the program's end of a bridged network (section L of docs/requirements.md). The
// supervisor has set it up; PID 1 asks whether somebody else has the address.
type Network struct {
	Index      int      // of the interface
	MAC        string   // 6 bytes
	Address    string   // 4 or 16 bytes
	AfterSetup []string // after-setup-command with its arguments
}

// ResolvConf says how to make and mount resolv.conf (section I of docs/requirements.md).
type ResolvConf struct {
	Source string // host file to copy; "" = none
	Mount  Mount
}

// Hosts says how to make and mount the hosts file (section I of docs/requirements.md).
type Hosts struct {
	Source         string // host file to copy; "" = none
	Localhost      bool
	PublicHostname bool
	Additional     []string // "ADDRESS NAME" lines
	Mount          Mount
}

// Mount is a file to mount over one in the image.
type Mount uint8

// The values of Mount.
const (
	MountAuto   Mount = iota // where the image has a regular file there and the host's is copied
	MountAlways              // an error where the image has none
	MountNever
)

// VolumeKind is the kind of a volume.
type VolumeKind uint8

// The kinds of volumes, as in section "Volumes" of the manual.
const (
	Readonly VolumeKind = iota
	Persistent
	Statedir
	Tmpfs
)

// Volume is one mount below the root (section H of docs/requirements.md).
type Volume struct {
	Kind        VolumeKind
	MountPoint  string // absolute, inside the container
	Source      string // host directory (Readonly, Persistent)
	SubPath     string // below Source or the state dir; untrusted
	Mkdir       bool
	Mode        uint32
	User, Group uint32 // host ids
	Size        int64  // bytes (Tmpfs)
	Exec        bool
}
