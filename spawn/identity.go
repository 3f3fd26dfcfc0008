package spawn

import "lithos/spawn/records"

// identity is the identity of the program at its start.
func identity(r *Request) *records.Identity {
	s := r.Spec
	return &records.Identity{
		UserID: s.UserID, GroupID: s.GroupID, UserNS: len(r.UIDMap) > 0, NetNS: r.Network != nil,
		AddCapabilities: s.AddCapabilities, NewPrivileges: s.NewPrivileges, Seccomp: s.Seccomp != "",
		Workdir: s.Workdir, FilenoLimit: s.FilenoLimit,
	}
}
