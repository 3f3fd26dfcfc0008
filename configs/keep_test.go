package configs

import (
	"reflect"
	"strings"
	"testing"
)

func TestO6_APlanIsKeptForTheNextDaemon(t *testing.T) {
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

func TestO6_AKeptPlanThatIsDamagedIsRefused(t *testing.T) {
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
func TestO2_ANewOptionThatIsNotUsedChangesNoFingerprint(t *testing.T) {
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
