package configs

import "testing"

func TestInstanceNameIsParsedAndWritten(t *testing.T) {
	for text, want := range map[string]InstanceName{
		"web/app.0":           {"web", "app", 0},
		"a.b/app.12":          {"a.b", "app", 12},
		"web/cmd.migrate.345": {"web", "cmd.migrate", 345},
	} {
		got := ParseInstanceName(text)
		if got != want || got.String() != text {
			t.Errorf("%s: %+v, written %s; want %+v", text, got, got, want)
		}
	}
	for text, want := range map[string]InstanceName{
		"a.b/app": {"a.b", "app", 0}, "web": {"web", "", 0}, "": {}, "web/app.x": {"web", "app", 0},
	} {
		if got := ParseInstanceName(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if got := ParseInstanceName("web/app.3").Group(); got != "web/app" {
		t.Errorf("group %s", got)
	}
}
