package root

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
	"lithos/configs"
)

func brokenProcess(name string) *configs.Process { return &configs.Process{Name: name, Broken: true} }

func brokenSandbox(name string) *configs.Sandbox { return &configs.Sandbox{Name: name, Broken: true} }

func brokenProcesses(name string) *configs.Sandbox {
	s := sb(name)
	s.ProcessesBroken = true
	return s
}

func problem(sandbox, text string) configs.Problem {
	return configs.Problem{File: "/etc/lithos/processes/" + sandbox + ".yaml", Line: 4, Column: 3, Path: "app.imaeg", Text: text, Sandbox: sandbox}
}

// versions says what runs: the image of each container and since when it runs,
// in starts.
func versions(k *fakekernel.Kernel) map[string]string {
	m := map[string]string{}
	for _, p := range k.Living() {
		m[p.Name] = fmt.Sprintf("%s#%d", strings.TrimPrefix(p.Request.Spec.Image, "/images/i-"), len(k.History(p.Name)))
	}
	return m
}

func (h *host) wantVersions(want map[string]string) {
	h.t.Helper()
	if got := versions(h.kernel); !maps.Equal(got, want) {
		h.t.Errorf("running: %v, want %v", got, want)
	}
}

// Covers: C23, O1
func TestReloadReplacesOnlyChangedContainers(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		t.Run(sig.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New()
				h := start(t, k, plan(sb("db", proc("pg", 1, "1")), sb("web", proc("app", 2, "1"), proc("old", 1, "1"))))
				next := plan(sb("db", proc("pg", 1, "1")), sb("web", proc("app", 2, "2"), proc("new", 1, "1")))
				k.LoadFunc = func() (*configs.Plan, configs.Problems) { return next, nil }
				h.signal(sig)
				h.wantVersions(map[string]string{
					"db/pg.0": "1#1", "web/app.0": "2#2", "web/app.1": "2#2", "web/new.0": "1#1",
				})
				h.stop()
			})
		})
	}
}

// Covers: O1
func TestReloadOfTheSameConfigsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 3, "1", port(80)))))
		for range 10 {
			h.reload(plan(sb("web", proc("app", 3, "1", port(80)))))
		}
		h.wantVersions(map[string]string{"web/app.0": "1#1", "web/app.1": "1#1", "web/app.2": "1#1"})
		h.stop()
	})
}

// Covers: O1
func TestSupervisorOptionsApplyWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(time.Hour)))))
		h.reload(plan(sb("web", proc("app", 1, "1", restartTimeout(2*time.Second)))))
		h.wantVersions(map[string]string{"web/app.0": "1#1"})
		k.End(h.pid("web/app.0"), 0)
		sleep(3 * time.Second)
		h.wantVersions(map[string]string{"web/app.0": "1#2"})
		h.stop()
	})
}

// Covers: C23, O1
func TestDeadContainerStartsWithTheNewConfigAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(time.Hour)))))
		k.End(h.pid("web/app.0"), 0)
		synctest.Wait()
		h.wantVersions(map[string]string{})
		h.reload(plan(sb("web", proc("app", 1, "2", restartTimeout(time.Hour)))))
		h.wantVersions(map[string]string{"web/app.0": "2#2"})
		h.stop()
	})
}

// Covers: O1
func TestConfigRevertedWhileTheContainerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{TermTime: 3 * time.Second})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"), proc("gone", 1, "1"))))
		h.reload(plan(sb("web", proc("app", 1, "2"))))
		sleep(time.Second)
		h.reload(plan(sb("web", proc("app", 1, "3"), proc("gone", 1, "1"))))
		sleep(10 * time.Second)
		h.wantVersions(map[string]string{"web/app.0": "3#2", "web/gone.0": "1#2"})
		for _, p := range k.History("web/app.0") {
			if p.Ended.IsZero() {
				continue
			}
			if len(p.Signals) != 1 {
				t.Errorf("got %v, want TERM once", p.Signals)
			}
		}
		h.stop()
	})
}

// Covers: O1
func TestRemovedSandboxIsAddedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{TermTime: 2 * time.Second, RemoveTime: 10 * time.Millisecond})
		one, both := plan(sb("a", proc("app", 1, "1"))), plan(sb("a", proc("app", 1, "1")), sb("b", proc("app", 2, "1")))
		h := start(t, k, both)
		h.reload(one)
		sleep(time.Minute)
		h.wantRunning("a/app.0")
		// Back while it is still ending, at any moment of it.
		for wait := time.Duration(0); wait < 3*time.Second; wait += 100 * time.Millisecond {
			h.reload(both)
			sleep(10 * time.Second)
			h.wantRunning("a/app.0", "b/app.0", "b/app.1")
			h.reload(one)
			sleep(wait)
		}
		h.reload(one)
		sleep(time.Minute)
		if n := k.Starts("a/app.0"); n != 1 {
			t.Errorf("the neighbour was started %d times", n)
		}
		h.stop()
	})
}

// TestSandboxAddedAgainBeforeItsActorStops has a sandbox come back in the very turn
// after the one in which the root told its actor to leave.
//
// Covers: O1
func TestSandboxAddedAgainBeforeItsActorStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = func(name string, _ int) fakekernel.Behaviour {
			if name == "b/app.0" {
				return fakekernel.Behaviour{RemoveTime: time.Second}
			}
			return fakekernel.Behaviour{}
		}
		one := plan(sb("a", proc("app", 1, "1", restartTimeout(0))))
		both := plan(sb("a", proc("app", 1, "1", restartTimeout(0))), sb("b", proc("app", 1, "1")))
		h := start(t, k, both)
		for range 50 {
			h.reload(one) // b's containers are dead, their clean-up takes a second
			read := make(chan struct{})
			k.LoadFunc = func() (*configs.Plan, configs.Problems) { <-read; return both, nil }
			h.signal(syscall.SIGQUIT)
			release := h.log.hold("Forked")
			k.End(h.pid("a/app.0"), 0)
			sleep(2 * time.Second) // b has reported its end to the root, which is held up
			close(read)            // and after that comes the plan with b in it
			synctest.Wait()
			release()
			sleep(2 * time.Second)
			h.wantRunning("a/app.0", "b/app.0")
		}
		h.stop()
	})
}

// Covers: O1
func TestQuitDuringALoadIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "0"))))
		loads, inside := 0, 0
		k.LoadFunc = func() (*configs.Plan, configs.Problems) {
			inside++
			if inside > 1 {
				t.Error("two loads at a time")
			}
			loads++
			p := plan(sb("web", proc("app", 1, fmt.Sprint(loads))))
			time.Sleep(time.Minute)
			inside--
			return p, nil
		}
		for range 5 {
			h.signal(syscall.SIGQUIT)
			sleep(time.Second)
		}
		sleep(time.Hour)
		if loads != 2 {
			t.Errorf("%d loads, want the one that ran and one more", loads)
		}
		h.wantVersions(map[string]string{"web/app.0": "2#3"})
		h.stop()
	})
}

// Covers: O1
func TestReaderPanicRefusesTheReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		k.LoadFunc = func() (*configs.Plan, configs.Problems) { panic("a parser's bug") }
		h.signal(syscall.SIGQUIT)
		h.wantVersions(map[string]string{"web/app.0": "1#1"})
		h.wantLog("Reload refused", "a parser's bug")
		h.reload(plan(sb("web", proc("app", 1, "2"))))
		h.wantVersions(map[string]string{"web/app.0": "2#2"})
		h.stop()
	})
}

// A config on a file server that is dead: the log says so, the containers run
// on, and the edits made meanwhile count when it is back.
//
// Covers: O1
func TestHangingReaderIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		hangs := make(chan struct{})
		k.LoadFunc = func() (*configs.Plan, configs.Problems) {
			<-hangs
			return plan(sb("web", proc("app", 1, "2"))), nil
		}
		h.signal(syscall.SIGQUIT)
		time.Sleep(65 * time.Second)
		h.signal(syscall.SIGQUIT)
		h.wantLog("The configs have been read for 30s and no end", "The configs have been read for 1m0s and no end", "Still reading the configs")
		h.wantVersions(map[string]string{"web/app.0": "1#1"})
		close(hangs)
		synctest.Wait()
		time.Sleep(time.Hour)
		h.wantVersions(map[string]string{"web/app.0": "2#2"})
		if n := strings.Count(h.log.String(), "and no end"); n != 2 {
			t.Errorf("it was said %d times", n)
		}
		h.stop()
	})
}

// Covers: D12, O6
func TestBrokenFileNeverStopsAContainer(t *testing.T) {
	good := func() *configs.Plan {
		return plan(sb("db", proc("pg", 1, "1")), sb("web", proc("app", 2, "1"), proc("job", 1, "1")))
	}
	running := map[string]string{"db/pg.0": "1#1", "web/app.0": "1#1", "web/app.1": "1#1", "web/job.0": "1#1"}
	tests := []struct {
		name     string
		plan     *configs.Plan
		problems []configs.Problem
		want     map[string]string // in addition to or instead of running
		log      string
	}{
		{
			name: "a broken process",
			plan: plan(sb("db", proc("pg", 1, "1")), sb("web", brokenProcess("app"), proc("job", 1, "2"))),
			want: map[string]string{"web/job.0": "2#2"},
		},
		{
			name: "a broken process config",
			plan: plan(sb("db", proc("pg", 1, "2")), brokenProcesses("web")),
			want: map[string]string{"db/pg.0": "2#2"},
		},
		{
			name: "a broken sandbox config",
			plan: plan(sb("db", proc("pg", 1, "2")), brokenSandbox("web")),
			want: map[string]string{"db/pg.0": "2#2"},
		},
		{
			name: "a broken master config refuses the whole reload",
			log:  "Reload refused",
		},
		{
			name:     "an error that belongs to no sandbox refuses the whole reload",
			plan:     plan(),
			problems: []configs.Problem{{File: "/etc/lithos/sandboxes", Text: "cannot read the directory"}},
			log:      "Reload refused, everything stays as it is: /etc/lithos/sandboxes: error: cannot read the directory",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New()
				h := start(t, k, good())
				problems := append(test.problems, problem("web", "unknown key"))
				if test.plan != nil && len(test.problems) == 0 {
					problems = []configs.Problem{problem("web", "unknown key")}
				}
				h.reload(test.plan, problems...)
				want := maps.Clone(running)
				maps.Copy(want, test.want)
				h.wantVersions(want)
				h.wantLog("[ERROR] /etc/lithos/processes/web.yaml:4:3: error: app.imaeg: unknown key", test.log)
				// And what is left alone is still supervised.
				k.End(h.pid("web/app.0"), 0)
				sleep(2 * time.Second)
				want["web/app.0"] = "1#2"
				h.wantVersions(want)
				h.stop()
			})
		})
	}
}

// Covers: D12
func TestBrokenConfigAtTheDaemonsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(brokenSandbox("a"), brokenProcesses("b"), sb("c", brokenProcess("bad"), proc("good", 1, "1"))))
		h.wantRunning("c/good.0")
		h.reload(plan(sb("a", proc("app", 1, "1")), sb("b", proc("app", 1, "1")), sb("c", proc("bad", 1, "1"), proc("good", 1, "1"))))
		h.wantVersions(map[string]string{"a/app.0": "1#1", "b/app.0": "1#1", "c/bad.0": "1#1", "c/good.0": "1#1"})
		h.stop()
	})
}

// TestRandomEditsConverge makes random edits, good and broken ones, and
// compares with what each object's last good version asks for.
//
// Covers: D12, O6
func TestRandomEditsConverge(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			k := fakekernel.New()
			h := start(t, k, plan())
			want := map[string]map[string]string{} // sandbox → process → version
			for step := range 25 {
				h.reload(randomEdit(random, step, want))
				sleep(time.Duration(random.IntN(3)) * time.Second)
				if random.IntN(3) == 0 {
					for _, p := range k.Living() {
						k.End(p.PID, 0)
					}
				}
				sleep(5 * time.Second)
				got := map[string]string{}
				for name, version := range versions(k) {
					got[name], _, _ = strings.Cut(version, "#")
				}
				flat := map[string]string{}
				for s, processes := range want {
					for p, version := range processes {
						flat[s+"/"+p+".0"] = version
					}
				}
				if !maps.Equal(got, flat) {
					t.Fatalf("seed %d, step %d: running %v, want %v", seed, step, got, flat)
				}
			}
			h.stop()
		})
	}
}

// randomEdit makes a plan, nil for a broken master config, and brings want,
// the last good versions, up to date.
func randomEdit(random *rand.Rand, step int, want map[string]map[string]string) *configs.Plan {
	if random.IntN(8) == 0 {
		return nil
	}
	var sandboxes []*configs.Sandbox
	for _, name := range []string{"a", "b", "c"} {
		switch random.IntN(6) {
		case 0:
			delete(want, name)
		case 1:
			sandboxes = append(sandboxes, brokenSandbox(name))
		case 2:
			sandboxes = append(sandboxes, brokenProcesses(name))
		default:
			if want[name] == nil {
				want[name] = map[string]string{}
			}
			var processes []*configs.Process
			for _, p := range []string{"x", "y"} {
				switch random.IntN(5) {
				case 0:
					delete(want[name], p)
				case 1:
					processes = append(processes, brokenProcess(p))
				case 2: // as it was
					if v, ok := want[name][p]; ok {
						processes = append(processes, proc(p, 1, v))
					}
				default:
					want[name][p] = fmt.Sprint(step)
					processes = append(processes, proc(p, 1, want[name][p]))
				}
			}
			sandboxes = append(sandboxes, sb(name, processes...))
		}
	}
	return plan(sandboxes...)
}

func TestMerge_LeavesItsArgumentsAlone(t *testing.T) {
	old := plan(sb("a", proc("x", 1, "1")), sb("b", proc("x", 1, "1")))
	loaded := plan(brokenSandbox("a"), brokenProcesses("b"))
	merged := Merge(old, loaded)
	if len(merged.Sandboxes) != 2 || merged.Sandboxes[1].ProcessesBroken || len(merged.Sandboxes[1].Processes) != 1 {
		t.Errorf("merged: %+v", merged.Sandboxes)
	}
	if !loaded.Sandboxes[0].Broken || !loaded.Sandboxes[1].ProcessesBroken || len(loaded.Sandboxes[1].Processes) != 0 {
		t.Errorf("the loaded plan was changed: %+v", loaded.Sandboxes)
	}
	if len(old.Sandboxes) != 2 {
		t.Error("the old plan was changed")
	}
}

func TestFixedOptionsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		next := plan(sb("web", proc("app", 1, "2")))
		next.Master.StateDir = "/elsewhere"
		next.Master.StdioLogDir = "/var/log/new"
		next.Master.DevfsDir = "/dev2"
		h.reload(next)
		h.wantLog(`state-dir stays "/run/lithos/state": to use "/elsewhere", stop and start lithos_tree`)
		spec := k.History("web/app.0")[1].Request.Spec
		if spec.StateDir != "/run/lithos/state/web/app.0" || spec.StdioLog != "/var/log/new/web.log" || spec.DevfsDir != "/dev2" {
			t.Errorf("the replaced container has %s, %s, %s", spec.StateDir, spec.StdioLog, spec.DevfsDir)
		}
		h.stop()
	})
}

// Covers: B11, P7
func TestEachLoadWritesAConfigLogLine(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		first := plan(sb("web", proc("app", 2, "1")))
		first.Master.ConfigLogDir = dir
		h := start(t, k, first)
		second := plan(sb("web", brokenProcess("app"), proc("job", 1, "1")))
		second.Master.ConfigLogDir = dir
		h.reload(second)
		off := plan(sb("web"))
		h.reload(off)
		h.stop()
	})
	text, err := os.ReadFile(filepath.Join(dir, "web.log"))
	if err != nil {
		t.Fatal(err)
	}
	app := `"app":{"instances":2,"image":"i-1","config":"/c.yaml","kind":"Daemon"}`
	want := []string{
		"2000-01-01T00:00:00Z {" + app + "}",
		"2000-01-01T00:00:00Z {" + app + `,"job":{"instances":1,"image":"i-1","config":"/c.yaml","kind":"Daemon"}}`,
	}
	if got := strings.Split(strings.TrimSpace(string(text)), "\n"); !slices.Equal(got, want) {
		t.Errorf("the config log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
