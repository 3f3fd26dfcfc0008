package spawn

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lithos/spawn/wire"
)

// newChannel opens the channel of a start of box/app.0, whose program has one socket.
func newChannel(t *testing.T, r *Request) *launch {
	t.Helper()
	r.Record = filepath.Join(t.TempDir(), "containers", "box", "app.0")
	r.Spec = &Spec{Name: "box/app.0", Sockets: []int{3}}
	l := &launch{request: r, spec: *r.Spec, isolation: &isolation{}}
	t.Cleanup(l.close)
	if err := l.openChannel(); err != nil {
		t.Fatal(err)
	}
	if len(r.Spec.Sockets) != 1 || len(l.spec.Sockets) != 2 {
		t.Errorf("descriptors %v, of the request %v", l.spec.Sockets, r.Spec.Sockets)
	}
	return l
}

func TestProgramGetsItsPipe(t *testing.T) {
	l := newChannel(t, &Request{NoticeFD: 5})
	if l.spec.Sockets[1] != 5 || l.head.Notice == 0 || l.head.Notify != 0 {
		t.Errorf("descriptor %d, record %+v", l.spec.Sockets[1], l.head)
	}
}

func TestPID1KeepsTheNotifySocketThatIsMounted(t *testing.T) {
	l := newChannel(t, &Request{NotifyPath: "/run/notify"})
	path := filepath.Join(l.request.Record, "../../../notify/box:app.0")
	v := l.spec.Volumes
	if l.spec.Sockets[1] != wire.KeptByPID1 || l.head.Notify == 0 || l.head.Notice != 0 ||
		len(v) != 1 || v[0].Source != path || v[0].MountPoint != "/run/notify" || v[0].Kind != Readonly {
		t.Errorf("descriptor %d, record %+v, volumes %+v", l.spec.Sockets[1], l.head, v)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if err := NewSpawner(Config{}).Remove(l.spec.Name, "", l.request.Record, false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
}
