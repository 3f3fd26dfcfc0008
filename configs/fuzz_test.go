package configs

import (
	"math"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"lithos/configs/document"
)

// seed adds the manual's examples of one kind ("" = all) and the files of the
// broken hosts to a corpus.
func seed(f *testing.F, kind string) {
	f.Helper()
	for _, pattern := range []string{"testdata/manual/" + kind + "*.yaml", "testdata/broken/" + kind + "*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds by %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if strings.HasSuffix(file, ".yaml") {
				f.Add(data)
				continue
			}
			for _, text := range parseArchive(string(data)) {
				f.Add([]byte(text))
			}
		}
	}
}

// checkProblems holds what is promised of every list of problems.
func checkProblems(t *testing.T, data []byte, problems Problems) {
	t.Helper()
	if len(problems) > document.MaxProblems+1 {
		t.Errorf("%d problems", len(problems))
	}
	lines := strings.Count(string(data), "\n") + 1
	for _, p := range problems {
		// YAML breaks lines at more characters than the newline.
		if p.Line < 0 || p.Column < 0 || p.Line > lines && !strings.ContainsAny(string(data), "\r\u0085\u2028\u2029") {
			t.Errorf("position %d:%d in a file of %d lines: %s", p.Line, p.Column, lines, p)
		}
		if s := p.String(); !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || len(s) > 5000 {
			t.Errorf("not fit for a log: %.300q", s)
		}
	}
}

func FuzzYAML(f *testing.F) {
	seed(f, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &document.Collector{File: "x"}
		root, ok := document.Parse(c, data)
		checkProblems(t, data, Owned(c.List, "", ""))
		if ok == c.Broken() {
			t.Errorf("ok is %v with the problems %v", ok, c.List)
		}
		if ok {
			walk(root)
		}
	})
}

// walk reads every value in each way that there is.
func walk(v document.Value) {
	v.Str("")
	v.Boolean(false)
	v.Integer(0, math.MinInt64, math.MaxInt64)
	v.Address(netip.Addr{})
	v.Ranges(math.MaxUint32)
	if entries, ok := v.Entries(); ok {
		for _, e := range entries {
			walk(e.Value)
		}
	}
	if items, ok := v.Items(); ok {
		for _, item := range items {
			walk(item)
		}
	}
}

func FuzzMaster(f *testing.F) {
	seed(f, "master")
	f.Fuzz(func(t *testing.T, data []byte) {
		result, problems := readAlone("master-x", data)
		checkProblems(t, data, problems)
		if problems.HasErrors() {
			return
		}
		m := result.(*Master)
		for _, p := range []string{m.SandboxesDir, m.ProcessesDir, m.RuntimeDir, m.StateDir, m.MountDir, m.DevfsDir, m.DefaultLogDir, m.StdioLogDir, m.LogFile} {
			if !path.IsAbs(p) || path.Clean(p) != p {
				t.Errorf("%q is not a clean absolute path", p)
			}
		}
		if len(m.CgroupControllers) == 0 || strings.Contains(m.CgroupName, "..") || path.IsAbs(m.CgroupName) || !slices.Contains(logLevels, m.LogLevel) {
			t.Errorf("%+v", m)
		}
	})
}

func FuzzSandbox(f *testing.F) {
	seed(f, "sandbox")
	f.Add([]byte("pids-limit: 1k\ncpu-quota: 1.5\ncpuset: 0-3,5\nio-limits: {/dev/sda: {read-bytes: 1Mi}}\n" +
		"allow-new-privileges: true\nadd-capabilities: [NET_RAW, all]\nseccomp: default\nallow-users: [1]\nallow-groups: [1]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		result, problems := readAlone("sandbox-x", data)
		checkProblems(t, data, problems)
		if problems.HasErrors() {
			return
		}
		s := result.(*SandboxConfig)
		if len(s.AllowUsers) == 0 || len(s.AllowGroups) == 0 || s.ImageDirLevels < 1 || s.ImageDirLevels > 16 || len(s.SecretsNamespaces) == 0 {
			t.Errorf("%+v", s)
		}
		if s.DefaultUser != nil && !document.InRanges(s.AllowUsers, *s.DefaultUser) {
			t.Errorf("default-user %d is not in %v", *s.DefaultUser, s.AllowUsers)
		}
		for _, table := range []map[string]string{s.ReadonlyPaths, s.WritablePaths} {
			for virtual, host := range table {
				if !path.IsAbs(virtual) || !path.IsAbs(host) || path.Clean(virtual) != virtual {
					t.Errorf("%q: %q", virtual, host)
				}
			}
		}
		if s.PIDsLimit < 0 || s.CPUQuota != 0 && s.CPUQuota < 10 || strings.Trim(s.CPUSet, "0123456789-,") != "" || s.Seccomp != "" && s.Seccomp != SeccompDefault {
			t.Errorf("limits of %+v", s)
		}
		if (len(s.UIDMap) > 0) != (len(s.GIDMap) > 0) || len(s.UIDMap) > maxMapLines {
			t.Errorf("maps %v and %v", s.UIDMap, s.GIDMap)
		}
		if b := s.Bridged; b != nil && (!b.Network.IsValid() || b.DefaultGateway.IsValid() && !b.Network.Contains(b.DefaultGateway)) {
			t.Errorf("bridged-network %+v", b)
		}
	})
}

func FuzzProcesses(f *testing.F) {
	seed(f, "process")
	f.Fuzz(func(t *testing.T, data []byte) {
		result, problems := readAlone("process-x", data)
		checkProblems(t, data, problems)
		entries, _ := result.([]*processEntry)
		for _, e := range entries {
			if broken := problems.Of("", e.name).HasErrors(); broken != (e.cfg == nil) && len(problems) <= document.MaxProblems {
				t.Errorf("%q: errors %v, config %v", e.name, broken, e.cfg)
			}
			if e.cfg == nil {
				continue
			}
			if checkProcessName(e.name) != nil || !path.IsAbs(e.cfg.Config) || e.cfg.Instances < 0 || e.cfg.Instances > maxInstances {
				t.Errorf("%q: %+v", e.name, e.cfg)
			}
			if json := instanceJSON(e.cfg, 0); strings.ContainsAny(json, "\n") || !strings.HasPrefix(json, `{"instances":1,"image":`) {
				t.Errorf("JSON %q", json)
			}
		}
	})
}

func FuzzContainer(f *testing.F) {
	seed(f, "container")
	f.Add([]byte("executable: /a\npids-limit: 10\ncpu-quota: 0.1\n"))
	f.Add([]byte("executable: /a\nrestart-backoff: {factor: 1e0, cap: 600, jitter: .5, reset: 0}\n"))
	f.Add([]byte("executable: /a\nready: {http: '@{lithos:name}', path: '/@{lithos:config_filename}', within: 1e1}\nhealthcheck: {command: [/b, '@{lithos:name}'], failures: 0x2}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		result, problems := readAlone("container-x", data)
		checkProblems(t, data, problems)
		tmpl := result.(*template)
		if tmpl.broken != problems.HasErrors() {
			t.Errorf("broken is %v with the problems %v", tmpl.broken, problems)
		}
		if tmpl.broken {
			return
		}
		cfg := &ProcessConfig{Kind: tmpl.fixed.Kind, Instances: 2, Image: "v1", Config: "/c", Variables: map[string]string{}}
		if cfg.Kind == KindCommandOrDaemon {
			cfg.Kind = KindDaemon
		}
		for _, d := range tmpl.variables {
			cfg.Variables[d.name] = "80"
		}
		user := uint32(1)
		sb := &SandboxConfig{
			ImageDir: "/i", ImageDirLevels: 1, DefaultUser: &user,
			AllowUsers: []Range{{First: 0, Last: 1 << 31}}, AllowGroups: []Range{{First: 0, Last: 1 << 31}}, AllowTCPPorts: []Range{{First: 1, Last: 65535}},
			ReadonlyPaths: map[string]string{"/": "/ro"}, WritablePaths: map[string]string{"/": "/rw"},
		}
		r := resolver{
			recipe:    recipe{master: &Master{}, sandbox: "s", sb: sb, process: "p", cfg: cfg, t: tmpl},
			entry:     &processEntry{},
			inProcess: &document.Collector{File: "p"}, inContent: &document.Collector{File: "c"}, inSecrets: &document.Collector{File: "s"},
		}
		for _, in := range r.resolve(func(string) keyRing { return keyRing{} }) {
			checkContainer(t, in.Container)
		}
		checkProblems(t, data, Owned(r.inContent.List, "", ""))
	})
}

// checkContainer holds what is promised of every container in a plan.
func checkContainer(t *testing.T, c *Container) {
	t.Helper()
	for _, p := range []string{c.Executable, c.Workdir, c.Image, c.ConfigFile} {
		if !path.IsAbs(p) || strings.ContainsRune(p, 0) {
			t.Errorf("path %q", p)
		}
	}
	if !slices.IsSortedFunc(c.Environ, func(a, b EnvVar) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("environ is not sorted: %v", c.Environ)
	}
	names := map[string]bool{}
	for _, e := range c.Environ {
		names[e.Name] = true
	}
	for _, name := range c.PIDVariables {
		names[name] = true
	}
	if len(names) != len(c.Environ)+len(c.PIDVariables) || !names["LITHOS_NAME"] || !names["LITHOS_CONFIG"] {
		t.Errorf("environ %v, pid variables %v", c.Environ, c.PIDVariables)
	}
	fds, ports := map[int]bool{}, map[uint16]bool{}
	for _, p := range c.TCPPorts {
		if p.FD < 0 || p.FD == 1 || p.FD == 2 || uint64(p.FD) >= c.FilenoLimit || p.Port == 0 || fds[p.FD] || ports[p.Port] || !p.Host.IsValid() {
			t.Errorf("port %+v", p)
		}
		fds[p.FD], ports[p.Port] = true, true
	}
	points := map[string]bool{}
	for i, v := range c.Volumes {
		if !path.IsAbs(v.MountPoint) || path.Clean(v.MountPoint) != v.MountPoint || v.MountPoint == "/" || points[v.MountPoint] {
			t.Errorf("mount point %q", v.MountPoint)
		}
		if strings.HasPrefix(v.SubPath, "/") || slices.Contains(strings.Split(v.SubPath, "/"), "..") || v.Mode > maxMode {
			t.Errorf("volume %+v", v)
		}
		if i > 0 && len(v.MountPoint) < len(c.Volumes[i-1].MountPoint) {
			t.Errorf("%s after %s", v.MountPoint, c.Volumes[i-1].MountPoint)
		}
		points[v.MountPoint] = true
	}
	if b := c.RestartBackoff; b != (RestartBackoff{}) && (b.Wait(c.RestartTimeout, 99, 0.5) < c.RestartTimeout || b.Wait(c.RestartTimeout, 99, 0.5) > b.Cap) {
		t.Errorf("restart-backoff %s", b)
	}
	if r := c.Ready; r != nil {
		checkCheck(t, &r.Check)
	}
	if h := c.Healthcheck; h != nil {
		checkCheck(t, &h.Check)
		if h.Failures < 1 {
			t.Errorf("healthcheck %s", h)
		}
	}
	if c.RestartTimeout < 0 || c.KillTimeout < 0 || c.MemoryLimit < 0 || c.FilenoLimit < 3 || c.PIDsLimit < 0 || c.CPUQuota < 0 {
		t.Errorf("limits of %+v", c)
	}
}

// checkCheck holds what whoever asks relies on: of the path, that it can't make
// other lines of the request.
func checkCheck(t *testing.T, c *Check) {
	t.Helper()
	if c.Kind == CheckFD {
		if c.FD < 3 {
			t.Errorf("check %+v", c)
		}
		return
	}
	if c.Kind == CheckNotify {
		if !path.IsAbs(c.Path) || path.Clean(c.Path) != c.Path || c.Path == "/" {
			t.Errorf("check %+v", c)
		}
		return
	}
	ok := c.Interval >= leastCheckTime && c.Timeout >= leastCheckTime
	switch c.Kind {
	case CheckHTTP:
		ok = ok && c.Addr.IsValid() && c.Addr.Port() != 0 && strings.HasPrefix(c.Path, "/") && !strings.ContainsAny(c.Path, " \r\n\t")
	case CheckTCP:
		ok = ok && c.Addr.IsValid() && c.Addr.Port() != 0
	case CheckCommand:
		ok = ok && len(c.Command) > 0
	default:
		ok = false
	}
	if !ok {
		t.Errorf("check %+v", c)
	}
}

func FuzzSubstitute(f *testing.F) {
	for _, s := range []string{"@{x}", "xxx@{ y }zzz@{z", "@{lithos:pid}", "$@{a} {b} @c @@{d}}", "@{@{a}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var names []string
		same := substitute(s, func(name string) string {
			names = append(names, name)
			if name != strings.TrimSpace(name) || strings.Contains(name, "}") {
				t.Errorf("name %q in %q", name, s)
			}
			return ""
		})
		if !strings.Contains(s, "@{") && same != s {
			t.Errorf("%q became %q", s, same)
		}
		// Substituted text is not substituted again.
		calls := 0
		substitute(s, func(string) string { calls++; return "@{x}" })
		if calls != len(names) {
			t.Errorf("%q: %d names, then %d", s, len(names), calls)
		}
		if isPID(s) && (len(names) != 1 || names[0] != builtinPID || same != "") {
			t.Errorf("%q is the pid with the names %q", s, names)
		}
		expandAfterSetup(s, "1.2.3.4")
	})
}

func FuzzImageName(f *testing.F) {
	for _, s := range []string{"v1", "web/v1", "../v1", "/v1", "a//b", "a/./b", "", "a/", ".git"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for levels := 1; levels <= 3; levels++ {
			if checkImageName(s, levels) != nil {
				continue
			}
			if !filepath.IsLocal(s) || path.Clean(s) != s || s == "." || strings.Count(s, "/") != levels-1 || strings.ContainsAny(s, "\x00\n") {
				t.Errorf("%q is accepted with %d levels", s, levels)
			}
		}
		if checkSandboxName(s) == nil && (strings.ContainsAny(s, "/ :\n") || s[0] == '.' || len(s) > maxName) {
			t.Errorf("%q is accepted as a sandbox", s)
		}
		if checkProcessName(s) == nil && strings.ContainsAny(s, "./ :\n") {
			t.Errorf("%q is accepted as a process", s)
		}
	})
}
