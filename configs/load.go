package configs

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lithos/configs/document"
	"lithos/configs/files"
)

// Options say what to load.
type Options struct {
	// MasterFile is the master config, usually /etc/lithos/master.yaml.
	MasterFile string
	// AlternateProcess gives, by sandbox, a process config to read in the
	// place of the sandbox's own (lithos_check --alternate-config,
	// lithos_switch).
	AlternateProcess map[string]string

	// AlternateText is the content of a file of AlternateProcess for who has
	// read it already, so that what is checked is what is used afterwards.
	AlternateText map[string][]byte
	// Excerpts puts the line that a problem is about into the problem, for
	// printing. It costs the memory of the files as long as problems live.
	Excerpts bool

	// Before is an earlier plan. The instances of a process of which nothing has
	// changed are taken from it, the very same: a thousand of them need not be made
	// again, and who has them knows at once that nothing has.
	Before *Plan

	// ReadImages reads files of images, whose file systems may hang, and gives
	// as many texts, in the same order. nil = [ReadImageFile], one by one, for as
	// long as that takes.
	ReadImages func([]ImageFile) []ImageText
}

// loader is one call of Load.
type loader struct {
	Options
	plan     *Plan
	problems Problems
	// templates are the container configs that were read, by image and
	// file, and parsed the same by their text: images that differ in their
	// program only are many.
	templates map[[2]string]*template
	parsed    map[string]*template
	rings     map[string]keyRing // the keys for secrets, by file
	texts     map[ImageFile]ImageText
}

// sandboxRead is a sandbox whose processes are yet to be resolved.
type sandboxRead struct {
	*Sandbox
	places  document.Places // of the options of the sandbox config
	entries []*processEntry
	text    *document.Text // of the process config
}

// Load reads a whole host. The plan is nil only if the master config itself
// can't be used, or the directory of sandboxes can't be listed. An error in
// any other file breaks the one object that it belongs to, which is in the
// plan nevertheless. Problems are sorted by file and position.
func Load(opts Options) (*Plan, Problems) {
	l := &loader{
		Options: opts, templates: map[[2]string]*template{}, parsed: map[string]*template{}, rings: map[string]keyRing{},
		texts: map[ImageFile]ImageText{},
	}
	defer l.forgetKeys()
	files := l.loadMaster()
	if l.plan != nil {
		var read []*sandboxRead
		for _, name := range files {
			s := l.loadSandbox(name)
			read = append(read, s)
			l.plan.Sandboxes = append(l.plan.Sandboxes, s.Sandbox)
		}
		l.readImages(read)
		for _, s := range read {
			l.loadProcesses(s)
		}
		l.checkAlternates()
	}
	l.problems.Sort()
	return l.plan, l.problems
}

// told adds the problems of a file, see [Owned].
func (l *loader) told(c *document.Collector, sandbox, process string) {
	l.problems = append(l.problems, Owned(c.List, sandbox, process)...)
}

// loadMaster reads the master config and lists the sandbox configs.
func (l *loader) loadMaster() []string {
	file, err := filepath.Abs(l.MasterFile)
	if err != nil {
		file = l.MasterFile
	}
	c := &document.Collector{File: file}
	defer func() { l.told(c, "", "") }()
	v, ok := l.readYAML(c, masterConfig)
	if !ok {
		return nil
	}
	m, o := readMaster(v, file)
	if c.Broken() {
		return nil
	}
	names, others, err := sandboxFiles(m.SandboxesDir)
	switch {
	case err != nil && files.Missing(err) && l.Before == nil:
		// A running daemon keeps what it has; who starts has nothing to lose.
		o.Get("sandboxes-dir").Warnf("there is no directory %s: there are no sandboxes", m.SandboxesDir)
	case err != nil:
		o.Get("sandboxes-dir").Errorf("cannot list the sandboxes: %s", err)
		return nil
	}
	for _, name := range others {
		o.Get("sandboxes-dir").Warnf("%s is not read: name it %s.yaml", path.Join(m.SandboxesDir, name), strings.TrimSuffix(name, ".yml"))
	}
	l.plan = &Plan{Master: m}
	return names
}

const masterConfig = "master config"

// readYAML reads and parses one file of the host.
func (l *loader) readYAML(c *document.Collector, what string) (document.Value, bool) {
	data, err := files.ReadHost(c.File)
	if err != nil {
		if what == masterConfig && files.Missing(err) {
			err = fmt.Errorf("no such file, make it (it may be empty) or name another by -C")
		}
		c.ErrorAt(document.Place{}, "cannot read the %s: %s", what, err)
		return document.Value{}, false
	}
	c.Text = l.quotable(data)
	return document.Parse(c, data)
}

// quotable keeps a file's text for excerpts where they are asked for.
func (l *loader) quotable(data []byte) *document.Text {
	if !l.Excerpts {
		return nil
	}
	return document.NewText(data)
}

// loadSandbox reads one sandbox config and its process config.
func (l *loader) loadSandbox(base string) *sandboxRead {
	name := strings.TrimSuffix(base, ".yaml")
	s := &Sandbox{Name: name, File: path.Join(l.plan.Master.SandboxesDir, base)}
	read := &sandboxRead{Sandbox: s}
	c := &document.Collector{File: s.File}
	if err := checkSandboxName(name); err != nil {
		c.ErrorAt(document.Place{}, "%s; rename the file", err)
	}
	if v, ok := l.readYAML(c, "sandbox config"); ok {
		s.Config, read.places = readSandbox(v, name, l.plan.Master)
	}
	switch {
	case s.Config == nil:
	case c.Broken():
		l.checkProcesses(s)
	default:
		read.entries, read.text = l.readProcessFile(s)
	}
	if c.Broken() {
		*s = Sandbox{Name: name, File: s.File, Broken: true}
	}
	l.told(c, name, "")
	return read
}

// checkProcesses tells what is wrong with the process config of a sandbox whose
// own config is broken: as far as that can be told without it, so that not each
// round of corrections has new mistakes to show.
func (l *loader) checkProcesses(s *Sandbox) {
	if _, err := os.Stat(s.Config.ConfigFile); err != nil && l.AlternateProcess[s.Name] == "" {
		return // where it is may follow from what is broken
	}
	l.readProcessFile(s)
}

// loadProcesses resolves the entries of the process config of a sandbox.
func (l *loader) loadProcesses(s *sandboxRead) {
	for _, e := range s.entries {
		s.Processes = append(s.Processes, l.loadProcess(s, e))
	}
}

// readProcessFile reads the entries of the process config of a sandbox.
func (l *loader) readProcessFile(s *Sandbox) (entries []*processEntry, text *document.Text) {
	s.ProcessFile = s.Config.ConfigFile
	if file, ok := l.AlternateProcess[s.Name]; ok {
		s.ProcessFile = file
		if abs, err := filepath.Abs(file); err == nil {
			s.ProcessFile = abs
		}
	}
	c := &document.Collector{File: s.ProcessFile}
	data, given := l.AlternateText[s.Name]
	var err error
	if !given {
		data, err = files.ReadHost(s.ProcessFile)
	}
	if err != nil {
		_, alternate := l.AlternateProcess[s.Name]
		switch {
		case files.Missing(err) && alternate:
			err = fmt.Errorf("no such file") // which somebody has named
		case files.Missing(err):
			err = fmt.Errorf("no such file, create it, `{}` for no processes")
		}
		c.ErrorAt(document.Place{}, "cannot read the process config: %s", err)
	}
	c.Text = l.quotable(data)
	read := err == nil
	if read {
		var root document.Value
		if root, read = document.Parse(c, data); read {
			entries, read = readProcesses(root)
		}
	}
	s.ProcessesBroken = !read
	l.told(c, s.Name, "")
	return entries, c.Text
}

// loadProcess reads the container config of an entry and resolves it.
func (l *loader) loadProcess(s *sandboxRead, e *processEntry) *Process {
	p := &Process{Name: e.name, Config: e.cfg, Broken: true}
	if e.cfg == nil {
		return p
	}
	p.Kind = e.cfg.Kind
	c := &document.Collector{File: s.ProcessFile, Text: s.text}
	defer func() { l.told(c, s.Name, e.name) }()
	if err := checkImageName(e.cfg.Image, s.Config.ImageDirLevels); err != nil {
		c.ErrorAt(e.At("image"), "%q: %s", document.Clip(e.cfg.Image), err)
		return p
	}
	t := l.template(s.Config, e, c)
	if t == nil {
		return p
	}
	content := &document.Collector{File: t.file, Text: t.text}
	l.problems = append(l.problems, Owned(t.problems, s.Name, e.name)...)
	if t.broken {
		return p
	}
	r := resolver{
		recipe:      recipe{master: l.plan.Master, sandbox: s.Name, sb: s.Config, process: e.name, cfg: e.cfg, t: t},
		sandboxFile: s.File, sandboxPlaces: s.places,
		entry:     e,
		inProcess: c, inContent: content, inSecrets: content,
	}
	if t.secretsFile != "" {
		r.inSecrets = &document.Collector{File: t.secretsFile}
		defer func() { l.told(r.inSecrets, s.Name, e.name) }()
	}
	r.before = l.Before.instances(s.Name, e.name)
	instances := r.resolve(l.keys)
	l.told(content, s.Name, e.name)
	if c.Broken() || content.Broken() || r.inSecrets.Broken() || t.broken {
		return p
	}
	p.Broken, p.Instances = false, instances
	return p
}

// template reads the container config of an entry, once for each file. It is
// nil if there is no such file; what is wrong with a file that is there is
// among the template's own problems.
func (l *loader) template(sb *SandboxConfig, e *processEntry, c *document.Collector) *template {
	dir := path.Join(sb.ImageDir, e.cfg.Image)
	key := [2]string{dir, e.cfg.Config}
	if t, ok := l.templates[key]; ok && t != nil {
		return t
	}
	found := l.read(ImageFile{sb.ImageDir, e.cfg.Image, e.cfg.Config})
	if found.ImageError != "" {
		c.ErrorAt(e.At("image"), "%s", found.ImageError)
		return nil
	}
	if found.FileError != "" {
		hint := ""
		if found.Link == "" && strings.Contains(found.FileError, "no such file") {
			hint = "; the container config belongs in the image: copy it there"
		}
		c.ErrorAt(e.At("config"), "cannot read %s in the image %s: %s%s%s", document.Clip(e.cfg.Config), dir, found.FileError, found.Link, hint)
		return nil
	}
	file := path.Join(dir, e.cfg.Config)
	t := l.parse(file, found.Text)
	if t.fixed.SecretEnvironFile != "" && !t.broken {
		t = t.as(file) // images with the same config may differ in that file
		l.readSecretFile(t, sb.ImageDir, e.cfg.Image, e.cfg.Config)
	}
	l.templates[key] = t
	return t
}

// parse reads a container config, once for each text.
func (l *loader) parse(file string, data []byte) *template {
	if t, ok := l.parsed[string(data)]; ok {
		return t.as(file)
	}
	t := parseTemplate(&document.Collector{File: file, Text: l.quotable(data)}, data)
	l.parsed[string(data)] = t
	return t
}

// as is the template as if it had been read from another file.
func (t *template) as(file string) *template {
	c := *t
	c.file, c.problems = file, slices.Clone(t.problems)
	for i := range c.problems {
		c.problems[i].File = file
	}
	return &c
}

// parseTemplate reads a container config whose text was read already.
func parseTemplate(c *document.Collector, data []byte) *template {
	root, ok := document.Parse(c, data)
	if !ok {
		return &template{file: c.File, text: c.Text, problems: c.List, broken: true}
	}
	return readTemplate(root)
}

// checkAlternates: an alternate process config for a sandbox that does not
// exist checks nothing.
func (l *loader) checkAlternates() {
	for _, name := range slices.Sorted(maps.Keys(l.AlternateProcess)) {
		found := false
		for _, s := range l.plan.Sandboxes {
			found = found || s.Name == name
		}
		if !found {
			l.problems = append(l.problems, Problem{
				File: l.plan.Master.SandboxesDir, Sandbox: name,
				Text: fmt.Sprintf("there is no sandbox %s%s", name, document.DidYouMean(name, l.sandboxNames())),
			})
		}
	}
}

func (l *loader) sandboxNames() []string {
	var names []string
	for _, s := range l.plan.Sandboxes {
		names = append(names, s.Name)
	}
	return names
}

// LoadMaster reads the master config alone; it is nil if it can't be used.
func LoadMaster(file string) (*Master, Problems) {
	l := &loader{Options: Options{MasterFile: file, Excerpts: true}}
	l.loadMaster()
	if l.plan == nil {
		return nil, l.problems
	}
	return l.plan.Master, l.problems
}

// Locate is [LoadMaster] for who wants to find a daemon, which continues with what the
// file said before it was broken: of a broken one it returns File and RuntimeDir
// alone, if the latter is certain, with the problems.
func Locate(file string) (*Master, Problems) {
	m, problems := LoadMaster(file)
	if m != nil {
		return m, problems
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, problems
	}
	c := &document.Collector{File: abs}
	v, ok := new(loader).readYAML(c, masterConfig)
	if !ok {
		return nil, problems
	}
	o, known := masterTable.Object(v)
	if !o.Given("runtime-dir") && !known {
		return nil, problems // an unknown key may be meant to be it
	}
	before := c.Errors()
	m = &Master{File: abs}
	masterTable.ReadOne("runtime-dir", &o, m)
	if c.Errors() > before {
		return nil, problems
	}
	return m, problems
}

// CheckContainer checks one container config that lies on the host, without a
// sandbox and a process config: all but what these decide. The use of
// variables is checked (lithos_check --check-container).
func CheckContainer(file string) Problems {
	c := &document.Collector{File: file}
	data, err := files.ReadHost(file)
	if err != nil {
		if os.IsNotExist(err) {
			err = fmt.Errorf("no such file")
		}
		c.ErrorAt(document.Place{}, "cannot read the container config: %s", err)
		return Owned(c.List, "", "")
	}
	c.Text = document.NewText(data)
	problems := Owned(parseTemplate(c, data).problems, "", "")
	problems.Sort()
	return problems
}

// sandboxFiles lists the sandbox configs of a directory: the files that end
// in .yaml, without hidden ones, which editors leave (requirement C1). others end
// in .yml and are not read.
func sandboxFiles(dir string) (names, others []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case name[0] == '.' || e.IsDir():
		case strings.HasSuffix(name, ".yaml"):
			names = append(names, name)
		case strings.HasSuffix(name, ".yml"):
			others = append(others, name)
		}
	}
	return names, others, nil
}
