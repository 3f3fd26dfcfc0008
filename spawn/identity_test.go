package spawn

import (
	"encoding/json"
	"testing"
)

// The record tells a program that joins the container later what it may do.
//
// Covers: R10
func TestRecordHoldsTheIdentity(t *testing.T) {
	r := &Request{
		Spec: &Spec{UserID: 7, GroupID: 8, AddCapabilities: 1 << 13, NewPrivileges: true, Seccomp: "program", Workdir: "/w", FilenoLimit: 99},
	}
	for _, tt := range []struct {
		name, want string
		change     func()
	}{
		{"host", `{"user_id":7,"group_id":8,"add_capabilities":8192,"new_privileges":true,"seccomp":true,"workdir":"/w","fileno_limit":99}`, func() {}},
		{"own namespaces", `{"user_id":7,"group_id":8,"user_ns":true,"net_ns":true,"workdir":"/w","fileno_limit":99}`, func() {
			r.Spec.AddCapabilities, r.Spec.NewPrivileges, r.Spec.Seccomp = 0, false, ""
			r.UIDMap, r.Network = []IDMap{{Count: 1}}, &Network{}
		}},
	} {
		tt.change()
		if got, err := json.Marshal(identity(r)); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}
