package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestOnlyWhatHasChangedIsMadeAnew(t *testing.T) {
	host := hostConfig{
		master: "devfs-dir: HOST/dev\n",
		process: "app: {image: v1, config: /config/app.yaml, instances: 3, variables: {port: 80, word: a}}\n" +
			"other: {image: v1, config: /config/app.yaml, instances: 2, variables: {port: 81, word: a}}\n" +
			"cmd: {kind: Command, image: v1, config: /config/app.yaml, variables: {port: 82, word: a}}\n",
		container: "kind: CommandOrDaemon\nvariables: {port: !TcpPort {}, word: !Choice [a, b]}\narguments: ['@{word}', '@{lithos:name}']\nenviron: {A: '@{word}'}\n" +
			"healthcheck: {tcp: 80}\n",
	}
	for _, one := range []struct {
		name, file, old, new string
		app, other           bool // are made again
	}{
		{name: "nothing"},
		{name: "a comment in the process config", file: "processes/web.yaml", old: "other:", new: "# Hello\nother:"},
		{name: "a variable", file: "processes/web.yaml", old: "port: 80, word: a", new: "port: 80, word: b", app: true},
		{name: "a port", file: "processes/web.yaml", old: "port: 80", new: "port: 83", app: true},
		{name: "the number of instances", file: "processes/web.yaml", old: "instances: 2", new: "instances: 1", other: true},
		{name: "an argument", file: "images/v1/config/app.yaml", old: "['@{word}'", new: "['-@{word}'", app: true, other: true},
		{name: "the environment", file: "images/v1/config/app.yaml", old: "{A:", new: "{B:", app: true, other: true},
		{name: "a check", file: "images/v1/config/app.yaml", old: "tcp: 80", new: "tcp: 81", app: true, other: true},
		{name: "what only the supervisor sees", file: "images/v1/config/app.yaml", old: "healthcheck", new: "kill-timeout: 7\nhealthcheck", app: true, other: true},
		{name: "the sandbox", file: "sandboxes/web.yaml", old: "allow-users: [1-1000]", new: "allow-users: [1-1001]", app: true, other: true},
		{name: "the master config", file: "master.yaml", old: "/dev", new: "/dev2", app: true, other: true},
	} {
		t.Run(one.name, func(t *testing.T) {
			before, dir := host.good(t)
			if one.file != "" {
				file := filepath.Join(dir, one.file)
				text, err := os.ReadFile(file)
				if err != nil || !strings.Contains(string(text), one.old) {
					t.Fatalf("no %q in it: %v\n%s", one.old, err, text)
				}
				if err := os.WriteFile(file, []byte(strings.Replace(string(text), one.old, one.new, 1)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			master := filepath.Join(dir, "master.yaml")
			fresh, problems := Load(Options{MasterFile: master})
			again, problemsAgain := Load(Options{MasterFile: master, Before: before})
			equal(t, "the problems", format(problemsAgain), format(problems))
			if !reflect.DeepEqual(again, fresh) {
				t.Error("the plan is another one than without the one before")
			}
			for process, anew := range map[string]bool{"app": one.app, "other": one.other, "cmd": true} {
				if same := again.instances("web", process)[0] == before.instances("web", process)[0]; same == anew {
					t.Errorf("%s has the instances that it had: %v", process, same)
				}
			}
		})
	}
}

func TestAKeptPlanGivesNoInstances(t *testing.T) {
	plan, dir := hostConfig{}.good(t)
	data, err := plan.Keep()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := Kept(data)
	if err != nil {
		t.Fatal(err)
	}
	again, problems := Load(Options{MasterFile: filepath.Join(dir, "master.yaml"), Before: kept})
	if len(problems) > 0 || again.instances("web", "app")[0] == kept.instances("web", "app")[0] {
		t.Errorf("an instance without its recipe is used again; problems: %v", problems)
	}
}
