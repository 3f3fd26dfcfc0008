package images

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lithos/configs"
)

// Problem is a reason not to clean.
type Problem struct {
	Text string
	// Config says that the configs are to blame, and not a log, a list or
	// the state of the machine.
	Config bool
}

// Survey is what the configs and what they point to say of all image-dirs.
type Survey struct {
	Dirs []*Dir // by path
	// Problems are those of the whole host: no image-dir is safe.
	Problems []Problem
	// Paths are other directories of the host in the configs, with their purpose;
	// none of them is an unused image.
	Paths map[string]string

	find func(path string) Place
}

// Dir is one image-dir.
type Dir struct {
	Path      string // as the first of its sandboxes writes it
	Real      string // without symbolic links
	Levels    int    // how deep images lie in it
	Sandboxes []string
	AutoClean bool
	Missing   bool // there is no such directory
	// Used are the images that are to be kept, and what each is used by.
	Used map[string][]string
	// Problems are why it can't be told what is unused.
	Problems []Problem
	// UnneededLogs are files of its sandboxes' config logs.
	UnneededLogs []LogFile

	place Place
}

// Look reads what is needed to tell what is used. It looks at the places that the
// configs name by find, which is [Find] for who can wait for it.
func Look(plan *configs.Plan, problems configs.Problems, rules Rules, find func(path string) Place) *Survey {
	s := &Survey{Paths: masterPaths(plan.Master), find: find}
	for _, sb := range plan.Sandboxes {
		if sb.Broken {
			s.Problems = append(s.Problems, Problem{Config: true, Text: fmt.Sprintf(
				"the sandbox %s is broken, so any directory may be its image-dir and nothing can be cleaned: %s",
				sb.Name, firstError(problems.Of(sb.Name, ""), sb.File))})
			continue
		}
		s.sandbox(plan.Master, sb, problems, rules)
	}
	s.nested(plan.Master)
	slices.SortFunc(s.Dirs, func(a, b *Dir) int { return cmp.Compare(a.Path, b.Path) })
	for _, d := range s.Dirs {
		for _, by := range d.Used {
			slices.Sort(by)
		}
	}
	return s
}

// sandbox adds one sandbox to its image-dir.
func (s *Survey) sandbox(m *configs.Master, sb *configs.Sandbox, problems configs.Problems, rules Rules) {
	for virtual, path := range sb.Config.ReadonlyPaths {
		s.Paths[path] = fmt.Sprintf("%s of readonly-paths of %s", virtual, sb.Name)
	}
	for virtual, path := range sb.Config.WritablePaths {
		s.Paths[path] = fmt.Sprintf("%s of writable-paths of %s", virtual, sb.Name)
	}
	d := s.dir(sb)
	d.current(sb, problems)
	if !sb.Config.AutoClean {
		return // nothing will be removed: its history does not matter
	}
	switch {
	case sb.Config.UsedImagesList != "":
		d.list(sb)
	case m.ConfigLogDir != "":
		d.log(m.ConfigLogDir, sb, rules)
	default:
		d.problem(true, "neither config-log-dir in %s nor used-images-list in %s is set: what the sandbox %s used is written nowhere",
			m.File, sb.File, sb.Name)
	}
}

// dir finds the image-dir of a sandbox, or makes it.
func (s *Survey) dir(sb *configs.Sandbox) *Dir {
	d := &Dir{
		Path: sb.Config.ImageDir, place: s.find(sb.Config.ImageDir),
		Levels: sb.Config.ImageDirLevels, AutoClean: sb.Config.AutoClean,
		Sandboxes: []string{sb.Name}, Used: make(map[string][]string),
	}
	d.Real, d.Missing = d.place.Real, d.place.Missing
	if d.place.Err != nil {
		d.problem(false, "cannot look at it: %v", d.place.Err)
	}
	i := slices.IndexFunc(s.Dirs, func(o *Dir) bool { return o.place.same(d.place) })
	if i < 0 {
		s.Dirs = append(s.Dirs, d)
		return d
	}
	o := s.Dirs[i]
	if o.AutoClean != d.AutoClean {
		o.problem(true, "conflicting auto-clean: the sandboxes %s and %s share it, one says true and the other false", o.Sandboxes[0], sb.Name)
	}
	if o.Levels != d.Levels {
		o.problem(true, "conflicting image-dir-levels: it is %d for the sandbox %s and %d for %s", o.Levels, o.Sandboxes[0], d.Levels, sb.Name)
	}
	o.Sandboxes = append(o.Sandboxes, sb.Name)
	return o
}

// current adds the images of the process config.
func (d *Dir) current(sb *configs.Sandbox, problems configs.Problems) {
	if sb.ProcessesBroken {
		d.problem(true, "the process config of the sandbox %s can't be used: %s", sb.Name, firstError(problems.Of(sb.Name, ""), sb.ProcessFile))
		return
	}
	for _, p := range sb.Processes {
		if p.Config == nil || checkName(p.Config.Image, sb.Config.ImageDirLevels) != nil {
			d.problem(true, "the image of the process %s/%s is not known: %s", sb.Name, p.Name, firstError(problems.Of(sb.Name, p.Name), sb.ProcessFile))
			continue
		}
		d.use(p.Config.Image, fmt.Sprintf("process %s/%s", sb.Name, p.Name))
	}
}

// list adds the images of the used-images-list.
func (d *Dir) list(sb *configs.Sandbox) {
	file := sb.Config.UsedImagesList
	names, err := ReadList(file, sb.Config.ImageDirLevels)
	if err != nil {
		d.problem(false, "the used-images-list of the sandbox %s can't be used: %v", sb.Name, err)
	}
	for _, name := range names {
		d.use(name, "used-images-list of "+sb.Name)
	}
}

// log adds the images of the config log.
func (d *Dir) log(dir string, sb *configs.Sandbox, rules Rules) {
	log, err := ReadLog(dir, sb.Name, rules)
	if err != nil {
		d.problem(false, "what the sandbox %s used is not known: %v", sb.Name, err)
		return
	}
	for _, v := range log.Kept {
		if v.Broken != "" {
			d.problem(false, "what the sandbox %s used is not known: %s", sb.Name, v.Broken)
		}
		for _, name := range v.Images {
			d.use(name, "config log of "+sb.Name)
		}
	}
	d.UnneededLogs = append(d.UnneededLogs, log.Unneeded...)
}

func (d *Dir) use(image, by string) {
	if !slices.Contains(d.Used[image], by) {
		d.Used[image] = append(d.Used[image], by)
	}
}

func (d *Dir) problem(config bool, format string, args ...any) {
	d.Problems = append(d.Problems, Problem{Text: fmt.Sprintf(format, args...), Config: config})
}

// nested: what is an image of the one could hold images of the other. And a
// processes-dir can't be an image-dir, since both are locked.
func (s *Survey) nested(m *configs.Master) {
	processes := s.find(m.ProcessesDir)
	for _, outer := range s.Dirs {
		if outer.place.same(processes) {
			outer.problem(true, "it is the processes-dir, too")
		}
		for _, inner := range s.Dirs {
			if outer != inner && Below(inner.Real, outer.Real) {
				text := "the image-dir %s lies inside the image-dir %s"
				outer.problem(true, text, inner.Path, outer.Path)
				inner.problem(true, text, inner.Path, outer.Path)
			}
		}
	}
}

// masterPaths are the directories of the master config.
func masterPaths(m *configs.Master) map[string]string {
	paths := make(map[string]string)
	for name, path := range map[string]string{
		"the master config": m.File, "sandboxes-dir": m.SandboxesDir, "processes-dir": m.ProcessesDir,
		"runtime-dir": m.RuntimeDir, "state-dir": m.StateDir, "mount-dir": m.MountDir, "devfs-dir": m.DevfsDir,
		"default-log-dir": m.DefaultLogDir, "config-log-dir": m.ConfigLogDir, "stdio-log-dir": m.StdioLogDir,
	} {
		if path != "" {
			paths[path] = name
		}
	}
	return paths
}

// firstError is the text of the first error, to be told with its consequence.
func firstError(problems configs.Problems, file string) string {
	for _, p := range problems {
		if p.Severity == configs.SeverityError {
			return p.String()
		}
	}
	return file + " can't be used"
}

// Below says whether path is dir or lies in it; both are clean.
func Below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// Names are the images that are used, sorted.
func (d *Dir) Names() []string { return slices.Sorted(maps.Keys(d.Used)) }
