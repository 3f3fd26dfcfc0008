package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Restart is the time from kill(2) of a program to the first instruction of
// its successor, for lithos and for restarters that do as little as possible.
type Restart struct {
	Kills       int     `json:"kills"`
	Lithos      Latency `json:"lithos"`
	CNamespaces Latency `json:"c_namespaces"` // a C program that clones into new namespaces
	CPlain      Latency `json:"c_plain"`      // a C program that vforks
	GoPlain     Latency `json:"go_plain"`     // os/exec in a loop
	// The ratios are of the medians.
	LithosToCNamespaces float64 `json:"lithos_to_c_namespaces"`
	LithosToGoPlain     float64 `json:"lithos_to_go_plain"`
}

// Latency is in microseconds.
type Latency struct {
	Min    float64 `json:"min_us"`
	Median float64 `json:"median_us"`
	P99    float64 `json:"p99_us"`
	Max    float64 `json:"max_us"`
}

// measureRestarts measures them in turns, a tenth of the kills at a time, so
// that a machine that changes its pace does so for all of them.
func measureRestarts(o options, p programs, dir string) (Restart, error) {
	subjects, err := startSubjects(o, p, dir)
	defer func() {
		for _, s := range subjects {
			s.stop()
		}
	}()
	if err != nil {
		return Restart{}, err
	}
	const turns = 10
	for range turns {
		for _, s := range subjects {
			if err := s.kill(max(1, o.kills/turns)); err != nil {
				return Restart{}, err
			}
		}
	}
	r := Restart{
		Kills:  len(subjects[0].took),
		Lithos: latency(subjects[0].took), CNamespaces: latency(subjects[1].took),
		CPlain: latency(subjects[2].took), GoPlain: latency(subjects[3].took),
	}
	r.LithosToCNamespaces = round(r.Lithos.Median / r.CNamespaces.Median)
	r.LithosToGoPlain = round(r.Lithos.Median / r.GoPlain.Median)
	return r, nil
}

// subject is one restarter with one program.
type subject struct {
	file string       // where the program writes its times
	pids func() []int // the program, when it runs
	stop func()
	took []int64 // ns
}

// kill measures so many restarts.
func (s *subject) kill(times int) error {
	for range times {
		var pid, before int
		if err := until("a program", func() bool {
			before = len(readTimes(s.file))
			pids := s.pids()
			if len(pids) == 1 && before > len(s.took) {
				pid = pids[0]
			}
			return pid != 0
		}); err != nil {
			return err
		}
		// It is to be idle, and older than any restart-timeout.
		time.Sleep(10 * time.Millisecond)
		killed := monotonic()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
		if err := until("its successor", func() bool { return len(readTimes(s.file)) > before }); err != nil {
			return err
		}
		started := readTimes(s.file)[before]
		if started < killed {
			return errors.New("the successor started before the kill: another process was killed")
		}
		s.took = append(s.took, started-killed)
	}
	return nil
}

// startSubjects starts lithos and the three baselines, in that order.
func startSubjects(o options, p programs, dir string) ([]*subject, error) {
	h, err := startHost(o, p, filepath.Join(dir, "restart"), 1)
	if err != nil {
		return nil, err
	}
	subjects := []*subject{{
		file: filepath.Join(h.dir, "data/times"),
		pids: func() []int {
			var pids []int
			for _, knot := range h.knots() {
				pids = append(pids, children(knot)...)
			}
			return pids
		},
		stop: func() { _ = h.stop() },
	}}
	for _, kind := range []string{"namespaces", "plain"} {
		file := filepath.Join(dir, kind+"-times")
		b, err := startBaseline(file, p.restarter, kind, "1", p.first, file)
		if err != nil {
			return subjects, err
		}
		subjects = append(subjects, &subject{file: file, pids: func() []int { return children(b.cmd.Process.Pid) }, stop: b.stop})
	}
	g, err := startGoRestarter(p.first, filepath.Join(dir, "go-times"))
	if err != nil {
		return subjects, err
	}
	return append(subjects, g), nil
}

// baseline is a running c/restarter.c in a process group of its own.
type baseline struct{ cmd *exec.Cmd }

func startBaseline(file string, argv ...string) (*baseline, error) {
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return &baseline{cmd}, cmd.Start()
}

// stop kills the restarter with its programs, which are in its group.
func (b *baseline) stop() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait()
}

// startGoRestarter restarts a program by os/exec in a goroutine of this
// process.
func startGoRestarter(program, file string) (*subject, error) {
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return nil, err
	}
	pids, quit, done := make(chan int, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			cmd := exec.Command(program, file)
			if err := cmd.Start(); err != nil {
				return // the measurement gives up waiting for the next program
			}
			select {
			case pids <- cmd.Process.Pid:
			case <-quit:
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()
			select {
			case <-quit:
				return
			default:
			}
		}
	}()
	var now int
	return &subject{
		file: file,
		pids: func() []int {
			select {
			case now = <-pids:
			default:
			}
			if now == 0 || syscall.Kill(now, 0) != nil {
				return nil
			}
			return []int{now}
		},
		stop: func() {
			close(quit)
			select {
			case now = <-pids:
			default:
			}
			_ = syscall.Kill(now, syscall.SIGKILL)
			<-done
		},
	}, nil
}

func latency(ns []int64) Latency {
	s := slices.Sorted(slices.Values(ns))
	us := func(n int64) float64 { return round(float64(n) / 1000) }
	return Latency{Min: us(s[0]), Median: us(s[len(s)/2]), P99: us(s[min(len(s)-1, len(s)*99/100)]), Max: us(s[len(s)-1])}
}
