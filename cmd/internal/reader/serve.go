package reader

import (
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"lithos/configs"
)

// argument makes a program the process that reads.
const argument = "--read-images-for-parent"

// serves tells that this program can be executed for that.
var serves bool

// Main is to be called first of all by a program that reads images: it is the
// process that does so, and does not return, if it was started for that.
func Main() {
	if len(os.Args) == 2 && os.Args[0] == "lithos_images" && os.Args[1] == argument {
		// The caller may get these from a terminal; this process ends with the
		// caller.
		signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGPIPE)
		serve(os.Stdin, os.Stdout, configs.ReadImageFile)
		os.Exit(0)
	}
	serves = true
}

// serve announces itself and answers requests until there are no more. A hanging
// request does not delay it.
func serve(in io.Reader, out io.Writer, read func(configs.ImageFile) configs.ImageText) {
	s := &server{out: out, read: read, queues: map[string][]request{}}
	s.answer(answer{})
	input := json.NewDecoder(in)
	for {
		var r request
		if input.Decode(&r) != nil {
			return
		}
		s.add(r)
	}
}

// server reads the files of an image one after the other, and different images
// side by side.
type server struct {
	read   func(configs.ImageFile) configs.ImageText
	mu     sync.Mutex
	queues map[string][]request // by image; there is a goroutine for each entry
	writes sync.Mutex
	out    io.Writer
}

func (s *server) add(r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	image := imageOf(r.File)
	queue, busy := s.queues[image]
	s.queues[image] = append(queue, r)
	if !busy {
		go s.work(image)
	}
}

func (s *server) work(image string) {
	for {
		s.mu.Lock()
		queue := s.queues[image]
		if len(queue) == 0 {
			delete(s.queues, image)
			s.mu.Unlock()
			return
		}
		s.queues[image] = queue[1:]
		s.mu.Unlock()
		s.answer(answer{queue[0].ID, s.read(queue[0].File)})
	}
}

func (s *server) answer(a answer) {
	line, _ := json.Marshal(a) // strings only
	s.writes.Lock()
	defer s.writes.Unlock()
	_, _ = s.out.Write(append(line, '\n')) // a failed write means that the caller is gone
}
