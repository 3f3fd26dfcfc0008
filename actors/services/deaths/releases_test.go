package deaths

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// The files in testdata were written by these releases.
//
// Covers: O2
func TestDeathsOfEarlierReleasesAreRead(t *testing.T) {
	for release, want := range map[string]api.Death{
		"d2b3d2f": {
			Exit:   api.Exit{PID: 27094, Uptime: 0.157818902},
			MaxRSS: 2433024, Version: &api.Version{Fingerprint: "cbfbc905174d35f4cc2f005ae4447da0"},
		},
		"670e6da": {
			Exit:   api.Exit{PID: 1488, Uptime: 0.011306296, Fingerprint: "3bb1af1eb66241586bff47317059e3a9"},
			MaxRSS: 1622016, Version: &api.Version{Fingerprint: "3bb1af1eb66241586bff47317059e3a9"},
		},
		"9da8b06": {
			Exit:   api.Exit{PID: 8277, Uptime: 0.002739728, Fingerprint: "3bb1af1eb66241586bff47317059e3a9"},
			MaxRSS: 1622016, Version: &api.Version{Fingerprint: "3bb1af1eb66241586bff47317059e3a9"},
		},
	} {
		list, err := Read(filepath.Join("testdata", release), "web/flaky.0")
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %d deaths, %v", release, len(list), err)
		}
		got := list[0]
		want.Name, want.Sandbox, want.Process = "web/flaky.0", "web", "flaky"
		want.Words, want.Code, want.Cause, want.Failure = "exited with code 7", 7, api.CauseItself, true
		want.Version.Image, want.Version.Config = "/srv/host/images/v1", "/config/flaky.yaml"
		want.OutputFile = "/srv/host/log/stderr/web.log"
		// Values that depend on the moment are plausible.
		if !slices.Contains(got.Output, "its last words") || got.At.Format("2006-01-02") != "2026-11-29" ||
			got.At.Sub(got.Started) < time.Duration(got.Uptime*float64(time.Second)) || got.At.Sub(got.Started) > time.Second {
			t.Errorf("%s: %+v", release, got)
		}
		want.At, want.Started, want.Output, want.OutputShared = got.At, got.Started, got.Output, got.OutputShared
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", release, got, want)
		}

		// Nothing of it is lost, and a later release may have more.
		text, err := os.ReadFile(filepath.Join("testdata", release, "web/flaky.0"))
		if err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again := strings.TrimSuffix(string(text), "\n"); string(written) != again {
			t.Errorf("%s: it is written again as\n%s\nand was\n%s", release, written, again)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "web"), 0o700); err != nil {
			t.Fatal(err)
		}
		more := strings.NewReplacer(`"code":`, `"new":{"a":[1]},"code":`, `"image":`, `"digest":"x","image":`).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, "web/flaky.0"), []byte(more), 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := Read(dir, "web/flaky.0"); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], got) {
			t.Errorf("%s of a later release: %+v, %v", release, list, err)
		}
	}
}
