package records

import (
	"lithos/spawn/wire"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at
}

// The records in testdata were written by these releases, each on a host with the
// same configs: a container that runs, and one that has died.
//
// Covers: O2
func TestRecordsOfEarlierReleasesAreRead(t *testing.T) {
	hello := func(limit uint64) *Identity {
		return &Identity{UserID: 10001, GroupID: 10001, Workdir: "/", FilenoLimit: limit}
	}
	for name, want := range map[string]*Record{
		"d2b3d2f/hello.0": {
			Created: Created{Name: "web/hello.0", Fingerprint: "de39e47007c9c43da8b5a26faf320aae", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:07:40.82013471Z"), KillTimeout: 5},
			Forked:  &Forked{PID: 27103, StartTime: 1464849}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:07:40.933442281Z")},
		},
		"d2b3d2f/flaky.0": {
			Created: Created{Name: "web/flaky.0", Fingerprint: "cbfbc905174d35f4cc2f005ae4447da0", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:07:40.820078725Z"), KillTimeout: 5},
			Forked:  &Forked{PID: 27094, StartTime: 1464845}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:07:41.015910034Z")},
			Exited: &wire.ProgramExited{Code: 7, UserTime: 722000, MaxRSS: 2433024, Uptime: 4740570, At: moment("2026-11-29T06:07:41.020650605Z")},
		},
		"670e6da/hello.0": {
			Created: Created{Name: "web/hello.0", Fingerprint: "6adba5189bfb8f6edb94196523c7ae57", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:08:31.70172659Z"), KillTimeout: 5, Identity: hello(1000)},
			Forked:  &Forked{PID: 1493, StartTime: 1469933}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:08:31.718400383Z")},
		},
		"670e6da/flaky.0": {
			Created: Created{Name: "web/flaky.0", Fingerprint: "3bb1af1eb66241586bff47317059e3a9", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:08:31.701699328Z"), KillTimeout: 5, Identity: hello(1024)},
			Forked:  &Forked{PID: 1488, StartTime: 1469933}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:08:31.718503761Z")},
			Exited: &wire.ProgramExited{Code: 7, UserTime: 452000, MaxRSS: 1622016, Uptime: 2700337, At: moment("2026-11-29T06:08:31.721204568Z")},
			Noted:  true,
		},
		"9da8b06/hello.0": {
			Created: Created{
				Name: "web/hello.0", Fingerprint: "6adba5189bfb8f6edb94196523c7ae57", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:09:23.672467229Z"), Boot: 14751300696295,
				KillTimeout: 5, Tally: &Tally{Starts: 1}, Identity: hello(1000),
			},
			Forked: &Forked{PID: 8278, StartTime: 1475130}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:09:23.681734135Z")},
		},
		"9da8b06/flaky.0": {
			Created: Created{
				Name: "web/flaky.0", Fingerprint: "3bb1af1eb66241586bff47317059e3a9", Image: "/srv/host/images/v1", At: moment("2026-11-29T06:09:23.672385749Z"), Boot: 14751300614846,
				KillTimeout: 5, Tally: &Tally{Starts: 1}, Identity: hello(1024),
			},
			Forked: &Forked{PID: 8277, StartTime: 1475130}, Started: &wire.ProgramStarted{PID: 2, At: moment("2026-11-29T06:09:23.673715535Z")},
			Exited: &wire.ProgramExited{Code: 7, UserTime: 387000, MaxRSS: 1622016, Uptime: 490082, At: moment("2026-11-29T06:09:23.674205605Z")},
			Noted:  true,
			Tally: &Tally{
				Tried: moment("2026-11-29T06:09:23.672368939Z"), Boot: 14751300598106, Fingerprint: "3bb1af1eb66241586bff47317059e3a9",
				Starts: 1, Failed: 1, Row: 1, Chance: 0.9468830679895506,
			},
		},
	} {
		path := filepath.Join("testdata", name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The times as they are written: ReadRecord gives them by the clock of this host.
		if got := parseRecord(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
		if _, err := Read(path); err != nil {
			t.Error(err)
		}
		if got := want.Counts().Starts; got != 1 {
			t.Errorf("%s: %d starts", name, got)
		}
		// A later release may have more fields, and more events.
		more := strings.NewReplacer(`{"created":{`, `{"created":{"new":[{}],`, `"at":`, `"more":{"a":"}"},"at":`, `{"noted":true`, `{"noted":true,"another":1`).Replace(string(text)) +
			`{"moved":{"to":"x"}}` + "\n" + `{"frozen":true}` + "\n"
		if got := parseRecord([]byte(more)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s of a later release is %+v, want %+v", name, got, want)
		}
	}
}
