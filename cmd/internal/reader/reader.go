package reader

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"time"

	"lithos/configs"
)

// Patience is how long to wait for the next answer of any image before those
// that are unanswered are given up.
const Patience = 5 * time.Second

// startPatience is how long to wait for the process itself, on a busy host.
const startPatience = time.Minute

// Reader reads files of images, see the package comment. The zero value is ready
// for use.
type Reader struct {
	// Start forks the process, for who waits for all of its children; nil = it
	// is waited for here.
	Start func(fork func() (pid int, err error)) error
	// Answered is told of images that were given up and have answered since, by
	// their directories, when none is left; or that all are asked again from now
	// on because the process that waited for them is gone.
	Answered func(images []string)

	patience time.Duration // 0 = Patience
	program  []string      // the command line, nil = this program if [Main] was called

	calls  sync.Mutex // one Read at a time
	mu     sync.Mutex
	helper *helper         // nil = none runs
	given  map[string]bool // images that do not answer
	late   []string        // those of them that have by now
}

type request struct {
	ID   int               `json:"id"`
	File configs.ImageFile `json:"file"`
}

type answer struct {
	ID   int               `json:"id"`
	Text configs.ImageText `json:"text"`
}

// helper is the process.
type helper struct {
	pid     int
	ask     *os.File
	ready   chan struct{} // closed when it reads, or at its end
	next    int
	waiting map[int]configs.ImageFile // without an answer, by number
	// answers go to the call that waits, nil = there is none. Closed at the
	// process' end.
	answers chan answer
}

// PIDs are those of the process, if there is one.
func (r *Reader) PIDs() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.helper == nil {
		return nil
	}
	return []int{r.helper.pid}
}

// Load is [configs.Load], with the images read by the Reader.
func (r *Reader) Load(o configs.Options) (*configs.Plan, configs.Problems) {
	o.ReadImages = r.Read
	return configs.Load(o)
}

// Load is for commands, which load once.
func Load(o configs.Options) (*configs.Plan, configs.Problems) { return new(Reader).Load(o) }

// Read reads files, see [configs.Options].ReadImages.
func (r *Reader) Read(files []configs.ImageFile) []configs.ImageText {
	r.calls.Lock()
	defer r.calls.Unlock()
	texts := make([]configs.ImageText, len(files))
	open := map[int]int{} // place in files, by number of the request
	h, direct := r.begin(files, texts, open)
	direct = append(direct, r.collect(h, texts, open)...)
	for _, i := range direct {
		texts[i] = configs.ReadImageFile(files[i])
	}
	return texts
}

// silent says that an image does not answer.
func (r *Reader) silent(f configs.ImageFile) configs.ImageText {
	return configs.ImageText{ImageError: fmt.Sprintf(
		"the file system of the image %s does not answer (not within %s); is its server gone? Its containers stay as they are until it answers, or is unmounted (umount -f -l)",
		imageOf(f), r.limit())}
}

func (r *Reader) limit() time.Duration {
	if r.patience != 0 {
		return r.patience
	}
	return Patience
}

func imageOf(f configs.ImageFile) string { return path.Join(f.ImageDir, f.Image) }

// begin asks for all files but those of images that are known to hang. It gives
// the places of those that could not be asked for.
func (r *Reader) begin(files []configs.ImageFile, texts []configs.ImageText, open map[int]int) (h *helper, direct []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.helper == nil {
		r.start()
	}
	h = r.helper
	if h == nil {
		for i := range files {
			direct = append(direct, i)
		}
		return nil, direct
	}
	h.answers = make(chan answer, len(files))
	var lines []byte
	for i, f := range files {
		if r.given[imageOf(f)] {
			texts[i] = r.silent(f)
			continue
		}
		h.next++
		h.waiting[h.next], open[h.next] = f, i
		line, _ := json.Marshal(request{h.next, f}) // strings only
		lines = append(append(lines, line...), '\n')
	}
	// It reads all the time, whatever hangs. If it has died, its answers end.
	_, _ = h.ask.Write(lines)
	return h, nil
}

// collect takes the answers, until all are there or none has come for too long.
// It gives the places of those that nobody will answer.
func (r *Reader) collect(h *helper, texts []configs.ImageText, open map[int]int) (lost []int) {
	if h == nil {
		return nil
	}
	files := map[int]configs.ImageFile{}
	r.mu.Lock()
	answers := h.answers
	for id := range open {
		files[id] = h.waiting[id]
	}
	r.mu.Unlock()
	select {
	case <-h.ready:
	case <-time.After(startPatience):
	}
	timer := time.NewTimer(r.limit())
	defer timer.Stop()
	for len(open) > 0 {
		select {
		case a, ok := <-answers:
			if !ok {
				for _, i := range open {
					lost = append(lost, i)
				}
				return lost
			}
			texts[open[a.ID]] = a.Text
			delete(open, a.ID)
			timer.Reset(r.limit())
			continue
		case <-timer.C:
		}
		break
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Nothing is sent any more from here on.
	if h.answers != nil {
		h.answers = nil
	}
	for len(answers) > 0 {
		a, ok := <-answers
		if !ok {
			break
		}
		texts[open[a.ID]] = a.Text
		delete(open, a.ID)
	}
	for id, i := range open {
		texts[i] = r.silent(files[id])
		if r.helper == h {
			if r.given == nil {
				r.given = map[string]bool{}
			}
			r.given[imageOf(files[id])] = true
		}
	}
	r.endIfIdle(h)
	return nil
}

// endIfIdle lets the process go when nothing is left that it waits for. The lock
// is held.
func (r *Reader) endIfIdle(h *helper) {
	if r.helper == h && len(h.waiting) == 0 && h.answers == nil {
		_ = h.ask.Close() // it ends
		r.helper = nil
	}
}

// start starts the process; without one there is no helper. The lock is held.
func (r *Reader) start() {
	program := r.program
	if program == nil {
		if !serves {
			return
		}
		program = []string{"/proc/self/exe", "lithos_images", argument}
	}
	theirs, ask, err := os.Pipe()
	if err != nil {
		return
	}
	defer theirs.Close()
	from, answers, err := os.Pipe()
	if err != nil {
		ask.Close()
		return
	}
	defer answers.Close()
	// Not ours: who waits for the end of a command's output must not wait for
	// a file system.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		ask.Close()
		from.Close()
		return
	}
	defer null.Close()
	process, err := r.fork(program, theirs, answers, null)
	if err != nil {
		ask.Close()
		from.Close()
		return
	}
	r.helper = &helper{pid: process.Pid, ask: ask, ready: make(chan struct{}), waiting: map[int]configs.ImageFile{}}
	go r.listen(r.helper, from)
}

func (r *Reader) fork(program []string, files ...*os.File) (process *os.Process, err error) {
	fork := func() (int, error) {
		process, err = os.StartProcess(program[0], program[1:], &os.ProcAttr{
			Env: append(os.Environ(), "GOMAXPROCS=2"), Files: files,
		})
		if err != nil {
			return 0, err
		}
		return process.Pid, nil
	}
	if r.Start != nil {
		if err := r.Start(fork); err != nil {
			return nil, err
		}
		return process, process.Release()
	}
	if _, err := fork(); err != nil {
		return nil, err
	}
	go func() { _, _ = process.Wait() }()
	return process, nil
}

// listen takes the answers of a process to its end.
func (r *Reader) listen(h *helper, from io.ReadCloser) {
	defer from.Close()
	input := json.NewDecoder(from)
	for first := true; ; first = false {
		var a answer
		err := input.Decode(&a)
		if first {
			close(h.ready) // it greets with an answer to nothing
		}
		if err != nil {
			break
		}
		r.deliver(h, a)
	}
	r.mu.Lock()
	given := r.given
	if r.helper == h {
		_ = h.ask.Close()
		r.helper, r.given, r.late = nil, nil, nil
	} else {
		given = nil
	}
	if h.answers != nil {
		close(h.answers)
		h.answers = nil
	}
	r.mu.Unlock()
	if len(given) > 0 && r.Answered != nil {
		var images []string
		for image := range given {
			images = append(images, image)
		}
		r.Answered(images)
	}
}

// deliver hands an answer to its caller, or notes that an image answers
// again.
func (r *Reader) deliver(h *helper, a answer) {
	r.mu.Lock()
	f, ok := h.waiting[a.ID]
	if !ok {
		r.mu.Unlock()
		return
	}
	delete(h.waiting, a.ID)
	image := imageOf(f)
	if !r.given[image] {
		if h.answers != nil {
			h.answers <- a // has room for all
		}
		r.mu.Unlock()
		return
	}
	for _, other := range h.waiting {
		if imageOf(other) == image {
			r.mu.Unlock()
			return // another file of it is being waited for
		}
	}
	delete(r.given, image)
	r.late = append(r.late, image)
	var answered []string
	if len(r.given) == 0 {
		answered, r.late = r.late, nil
	}
	r.endIfIdle(h)
	r.mu.Unlock()
	if answered != nil && r.Answered != nil {
		r.Answered(answered)
	}
}
