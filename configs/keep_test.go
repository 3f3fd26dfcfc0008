package configs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Covers: O6
func TestPlanIsKeptForTheNextDaemon(t *testing.T) {
	in := instanceOf(full())
	in.recipe = nil
	plan := &Plan{Master: &Master{File: "/m"}, Sandboxes: []*Sandbox{{
		Name: "web", Config: &SandboxConfig{LogFile: "/l"},
		Processes: []*Process{
			{Name: "app", Kind: KindDaemon, Config: &ProcessConfig{Image: "v1"}, Instances: []*Instance{in}},
			{Name: "once", Kind: KindCommand, Config: &ProcessConfig{}, Instances: []*Instance{in}},
		},
	}}}
	data, err := plan.Keep()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Kept(data)
	if err != nil {
		t.Fatal(err)
	}
	plan.Sandboxes[0].Processes = plan.Sandboxes[0].Processes[:1]
	if !reflect.DeepEqual(got, plan) {
		t.Errorf("kept: %s\nthe plan has another", data)
	}
	// A release that has more fields, or fewer.
	more := strings.Replace(string(data), `"Image":`, `"New":1,"Image":`, 1)
	if _, err := Kept([]byte(more)); err != nil {
		t.Errorf("with a new field: %v", err)
	}
}

// The plan in testdata was kept by that release.
//
// Covers: O2
func TestPlanOfAnEarlierReleaseIsRead(t *testing.T) {
	text, err := os.ReadFile("testdata/kept/670e6da.json")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Kept(text)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan.Sandboxes); n != 1 || len(plan.Sandboxes[0].Processes) != 2 {
		t.Fatalf("it has %d sandboxes", n)
	}
	in := plan.Sandboxes[0].Processes[1].Instances[1]
	c := in.Container
	if in.Name != "web/hello.1" || in.Fingerprint != "3b11e81d592f0b15e89499b1bbd31950" || c.Executable != "/bin/hello" ||
		c.RestartTimeout != time.Second || c.MemoryLimit != 64<<20 || c.Ready.Addr.String() != "127.0.0.1:18765" ||
		len(c.Volumes) != 2 || c.Volumes[1].Source != "/srv/host/data" || len(c.TCPPorts) != 1 {
		t.Errorf("%+v, %+v", in, c)
	}
	// An upgrade must not replace it.
	if now := fingerprint(in.Container, plan.Master); now != in.Fingerprint {
		t.Errorf("its fingerprint was %s and is %s", in.Fingerprint, now)
	}
	// All that it has is kept again, with what has been added since.
	again, err := plan.Keep()
	if err != nil {
		t.Fatal(err)
	}
	var before, now any
	if err := errors.Join(json.Unmarshal(text, &before), json.Unmarshal(again, &now)); err != nil {
		t.Fatal(err)
	}
	for _, text := range lost("", before, now) {
		t.Error("it is lost: " + text)
	}
}

// lost is what of a JSON value another one has not.
func lost(at string, want, got any) (list []string) {
	switch want := want.(type) {
	case map[string]any:
		fields, _ := got.(map[string]any)
		for key, value := range want {
			list = append(list, lost(at+"."+key, value, fields[key])...)
		}
	case []any:
		items, _ := got.([]any)
		if len(items) != len(want) {
			return []string{at}
		}
		for i := range want {
			list = append(list, lost(fmt.Sprintf("%s[%d]", at, i), want[i], items[i])...)
		}
	default:
		if !reflect.DeepEqual(want, got) {
			list = []string{fmt.Sprintf("%s was %v, is %v", at, want, got)}
		}
	}
	return list
}

// Covers: O6
func TestDamagedPlanIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "{", "{}", `{"Version":2,"Plan":{"Master":{}}}`, `{"Version":1}`, `{"Version":1,"Plan":{}}`,
		`{"Version":1,"Plan":{"Master":{},"Sandboxes":[null]}}`, `{"Version":1,"Plan":{"Master":{},"Sandboxes":[{"Name":"a"}]}}`,
		`{"Version":1,"Plan":{"Master":{},"Sandboxes":[{"Config":{},"Processes":[{"Config":{},"Instances":[{}]}]}]}}`,
	} {
		if plan, err := Kept([]byte(text)); err == nil {
			t.Errorf("%q is taken for the plan %+v", text, plan)
		}
	}
}

// An upgrade must not replace containers that use nothing new.
//
// Covers: O2
func TestUnusedOptionChangesNoFingerprint(t *testing.T) {
	now := appendSet(nil, reflect.ValueOf(struct {
		A string
		B []int
	}{"x", []int{0, 1}}))
	next := appendSet(nil, reflect.ValueOf(struct {
		New  bool
		A    string
		List []string
		B    []int
		Ptr  *bool
	}{A: "x", List: []string{}, B: []int{0, 1}}))
	equal(t, "what is hashed", string(next), string(now))
}
