package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lithos/cmd/internal/setup"
	"lithos/configs"
	"lithos/configs/secrets"
	"lithos/sysx/rotate"
)

// beside are the programs that the daemon needs in its own directory (N11).
var beside = []string{"lithos_tree", "lithos_knot"}

// checkBinaries looks for the daemon's programs beside this one.
func checkBinaries() configs.Problems {
	self, err := os.Executable()
	if err != nil {
		return nil // without /proc; then nothing else works either
	}
	// Through a symlink: the programs lie where the real file lies.
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	var problems configs.Problems
	for _, name := range beside {
		file := filepath.Join(filepath.Dir(self), name)
		info, err := os.Stat(file)
		switch {
		case err != nil:
			problems = append(problems, configs.Problem{File: file, Text: "the program is missing: it has to lie beside lithos_check"})
		case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
			problems = append(problems, configs.Problem{File: file, Text: "is not executable"})
		}
	}
	return problems
}

// checkDirectories checks the directories that the daemon needs to start: the
// devfs-dir (B6), and the parents of the directories that it makes (B17).
func checkDirectories(m *configs.Master) configs.Problems {
	var problems configs.Problems
	tell := func(s configs.Severity, option, format string, args ...any) {
		problems = append(problems, configs.Problem{File: m.File, Path: option, Severity: s, Text: fmt.Sprintf(format, args...)})
	}
	if info, err := os.Stat(m.DevfsDir); err != nil || !info.IsDir() {
		tell(configs.SeverityError, "devfs-dir", "%s must be a directory with device nodes; make it with: lithos_mkdev %[1]s", m.DevfsDir)
	} else if null, err := os.Stat(filepath.Join(m.DevfsDir, "null")); err != nil || null.Mode()&fs.ModeCharDevice == 0 {
		tell(configs.SeverityWarning, "devfs-dir", "%s has no device null; make it with: lithos_mkdev %[1]s", m.DevfsDir)
	}
	for _, dir := range []struct{ option, path string }{
		{"runtime-dir", m.RuntimeDir},
		{"default-log-dir", m.DefaultLogDir},
		{"config-log-dir", m.ConfigLogDir},
		{"stdio-log-dir", m.StdioLogDir},
	} {
		info, err := os.Stat(dir.path)
		switch {
		case dir.path == "": // config-log-dir: null
		case err == nil && !info.IsDir():
			tell(configs.SeverityError, dir.option, "%s is no directory", dir.path)
		case errors.Is(err, fs.ErrNotExist) && !made(m, filepath.Dir(dir.path)):
			tell(configs.SeverityError, dir.option, "%s can't be made, its parent does not exist: mkdir -p %s", dir.path, filepath.Dir(dir.path))
		}
	}
	return problems
}

// checkCopied looks for the files of the host that containers get a copy of: no
// container of the sandbox that wants one starts without it.
func checkCopied(plan *configs.Plan) configs.Problems {
	var problems configs.Problems
	for _, s := range plan.Sandboxes {
		looked := map[string]bool{"": true}
		for _, p := range s.Processes {
			for _, in := range p.Instances {
				c := in.Container
				for _, f := range []struct {
					option, source string
					copied         bool
				}{
					{"hosts-file", c.HostsFile.Source, c.HostsFile.CopyFromHost},
					{"resolv-conf", c.ResolvConf.Source, c.ResolvConf.CopyFromHost},
				} {
					if !f.copied || looked[f.source] {
						continue
					}
					looked[f.source] = true
					info, err := os.Stat(f.source)
					if err == nil && !info.Mode().IsRegular() {
						err = errors.New("it is no regular file")
					}
					if err != nil {
						problems = append(problems, configs.Problem{File: s.File, Path: f.option, Sandbox: s.Name, Text: fmt.Sprintf(
							"containers such as %s get a copy of this host's %s, which can't be read: %s; make it, name another in %s, or write copy-from-host: false in the container config",
							in.Name, f.source, reason(err), f.option)})
					}
				}
			}
		}
	}
	return problems
}

// checkControlGroup looks for the group that may read the control socket; without
// it the daemon lets nobody but root.
func checkControlGroup(m *configs.Master) configs.Problems {
	if m.ControlGroup == "" {
		return nil
	}
	if _, err := setup.GroupID(m.ControlGroup); err != nil {
		return configs.Problems{{File: m.File, Path: "control-group", Severity: configs.SeverityWarning, Text: err.Error() + ": only root will be able to use the control socket"}}
	}
	return nil
}

// checkKeys looks at private keys that no secret needs yet (J1): those that are
// needed were read with the configs. No start fails for want of one: it is a
// warning.
func checkKeys(plan *configs.Plan) configs.Problems {
	var problems configs.Problems
	for _, s := range plan.Sandboxes {
		if s.Config == nil || s.Config.SecretsPrivateKey == "" || needsKey(s) {
			continue
		}
		keys, err := secrets.ReadPrivateKeys(s.Config.SecretsPrivateKey)
		for _, k := range keys {
			k.Wipe()
		}
		// Only root can be expected to read it.
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			problems = append(problems, configs.Problem{File: s.File, Path: "secrets-private-key", Sandbox: s.Name, Severity: configs.SeverityWarning, Text: err.Error()})
		}
	}
	return problems
}

// needsKey tells whether a container of the sandbox has secrets, or may have: what
// is broken is not known.
func needsKey(s *configs.Sandbox) bool {
	return slices.ContainsFunc(s.Processes, func(p *configs.Process) bool {
		return p.Broken || slices.ContainsFunc(p.Instances, func(in *configs.Instance) bool { return len(in.Container.SecretEnviron) > 0 })
	})
}

// checkRotation looks whether the programs' output can be kept within its
// stdio-log-max-size.
func checkRotation(plan *configs.Plan) configs.Problems {
	var problems configs.Problems
	dir := plan.Master.StdioLogDir
	for _, s := range plan.Sandboxes {
		if s.Config == nil || s.Config.StdioLogMaxSize == 0 {
			continue
		}
		// Of the directory that will be made it is the parent that can be asked.
		for ; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
				break
			}
		}
		if err := rotate.Supported(dir); err != nil {
			problems = append(problems, configs.Problem{File: s.File, Path: "stdio-log-max-size", Sandbox: s.Name, Severity: configs.SeverityWarning, Text: fmt.Sprintf(
				"the programs' output will grow without a limit, since the file system of %s does not support rotation: %v; use ext4, XFS, btrfs or tmpfs for the stdio-log-dir", dir, err)})
		}
	}
	return problems
}

// reason is an error without the path.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// made tells whether a directory exists or is made by the daemon before it is
// a parent.
func made(m *configs.Master, dir string) bool {
	if info, err := os.Stat(dir); err == nil {
		return info.IsDir()
	}
	if dir != m.DefaultLogDir && dir != m.RuntimeDir {
		return false
	}
	info, err := os.Stat(filepath.Dir(dir))
	return err == nil && info.IsDir()
}

// nameResult is the result about the host's name.
type nameResult struct {
	told     []string
	problems configs.Problems
}

// lookupTimeout bounds how long a resolver that does not answer is waited for.
const lookupTimeout = time.Second

// checkName: hosts-file with public-hostname has the host's name and address
// in it. That they can't be found ends nothing.
func checkName() nameResult {
	warn := func(format string, args ...any) nameResult {
		return nameResult{problems: configs.Problems{{File: "this host", Severity: configs.SeverityWarning, Text: fmt.Sprintf(format, args...)}}}
	}
	name, err := os.Hostname()
	if err != nil || name == "" || name == "(none)" {
		return warn("has no name; containers with public-hostname need one, see hostnamectl")
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil || len(addresses) == 0 {
		return warn("its name %q has no address; put it into /etc/hosts, for containers with public-hostname", name)
	}
	return nameResult{told: []string{"hostname " + name, "address " + strings.Join(addresses, ", ")}}
}
