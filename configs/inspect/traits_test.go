package inspect

import (
	"strings"
	"testing"
	"time"

	"lithos/configs"
)

func TestTraitsAreFoundByExecutableAndArgument(t *testing.T) {
	traits := []Trait{
		{Program: "gunicorn", Executable: "python3?[0-9.]*|gunicorn", Argument: "gunicorn"},
		{Program: "script", Executable: "/usr/sbin/it"},
		{Program: "node", Executable: "node(js)?"},
	}
	for _, c := range []struct {
		want, executable string
		arguments        []string
	}{
		{"gunicorn", "/usr/bin/python3", []string{"-m", "gunicorn", "app:app"}},
		{"gunicorn", "/usr/local/bin/gunicorn", nil},
		{"", "/usr/bin/python3", []string{"app.py"}},
		{"script", "/usr/sbin/it", nil},
		{"", "/usr/lib/it", nil},
		{"node", "/usr/bin/nodejs", []string{"server.js"}},
		{"", "/usr/bin/node_exporter", nil},
	} {
		got := ""
		if found := knows(traits, &configs.Container{Executable: c.executable, Arguments: c.arguments}); found != nil {
			got = found.Program
		}
		if got != c.want {
			t.Errorf("%s %q is %q, want %q", c.executable, c.arguments, got, c.want)
		}
	}
}

func TestTraitsWarnOfWhatAConfigForgets(t *testing.T) {
	all := Trait{
		Program: "it", Executable: "it", StopSeconds: 8, Exit: 143, OwnSocket: true, Silent: true, SharedMem: true,
		Sizes: "-Xmx or -XX:MaxRAM", Instead: "/usr/lib/it",
	}
	notify := &configs.Ready{Check: configs.Check{Kind: configs.CheckNotify}}
	forgetful := configs.Container{
		KillTimeout: 5 * time.Second, PIDVariables: []string{"LISTEN_PID"}, Ready: notify, MemoryLimit: 1 << 20,
		Volumes: []configs.Volume{{MountPoint: "/dev/shm", Kind: configs.VolumeReadonly}},
	}
	var options []string
	for _, w := range all.warnings(&forgetful) {
		options = append(options, w.option)
	}
	const want = "kill-timeout normal-exit-codes variables ready volumes memory-limit executable"
	if got := strings.Join(options, " "); got != want {
		t.Errorf("it warns of %s, want %s", got, want)
	}
	all.Instead = ""
	careful := configs.Container{
		KillTimeout: 15 * time.Second, NormalExitCodes: []int{143}, Ready: &configs.Ready{Check: configs.Check{Kind: configs.CheckHTTP}},
		MemoryLimit: 1 << 20, Arguments: []string{"-Xmx256m"}, Volumes: []configs.Volume{{MountPoint: "/dev/shm", Kind: configs.VolumeTmpfs}},
	}
	if list := all.warnings(&careful); len(list) != 0 {
		t.Errorf("it warns of %+v", list)
	}
	careful.Arguments, careful.Environ = nil, []configs.EnvVar{{Name: "JAVA_TOOL_OPTIONS", Value: "-XX:MaxRAMPercentage=60"}}
	if list := all.warnings(&careful); len(list) != 0 {
		t.Errorf("with a variable it warns of %+v", list)
	}
}

// The table that is in the program knows apache2, and a warning says where.
func TestPlanWarnsOfWhatAKnownProgramDoes(t *testing.T) {
	apache2 := func(config string) inspected {
		return inspected{
			name: "apache2", host: hostConfig{container: "executable: /usr/sbin/apache2\n" + config},
			edit: func(t *testing.T, dir string) { program(t, dir, "usr/sbin/apache2", static()) },
		}
	}
	wantProblems(t, apache2("").inspect(t), "warning: kill-timeout: apache2 may take")
	wantProblems(t, apache2("kill-timeout: 5\n").inspect(t), "app.yaml:2:15: warning: kill-timeout: apache2 may take")
	wantProblems(t, apache2("kill-timeout: 30\n").inspect(t))
}
