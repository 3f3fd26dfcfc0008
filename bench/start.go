package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// start measures the start and end of a whole container in all variants: the
// limit, our daemon's, our lithos_cmd, and the commands of other runtimes.
func (b *bench) start() error {
	if err := b.needGroups(); err != nil {
		return err
	}
	subjects := make([]*starts, len(variants))
	for i, v := range variants {
		s, err := b.newStarts(v)
		defer s.stop()
		if err != nil {
			return err
		}
		subjects[i] = s
	}
	for turn := range b.pick(10, 2) {
		for _, s := range subjects {
			// A quick run looks at the others once.
			if b.o.quick && turn > 0 && s.variant != plain {
				continue
			}
			if err := s.turn(b.pick(20, 3)); err != nil {
				return err
			}
		}
	}
	return nil
}

// starts are those of one variant.
type starts struct {
	b       *bench
	variant *variant
	host    *host // of the limit and the commands
	list    []*runner
	hosts   []*host // of lithos_cmd
}

func (b *bench) newStarts(v *variant) (s *starts, err error) {
	s = &starts{b: b, variant: v}
	if v == plain {
		for subject, bin := range b.bins() {
			host, err := b.startHost(bin, process{"true", "true", 0})
			if err != nil {
				return s, err
			}
			s.hosts = append(s.hosts, host)
			s.list = append(s.list, &runner{name: subject + "_cmd", around: here, argv: host.command("lithos_cmd", "bench", "true").Args})
		}
	}
	if s.host, err = b.newHostOf(v, b.o.bin); err != nil {
		return s, err
	}
	peers, err := b.peers(v, s.host, true)
	s.list = append(s.list, peers...)
	return s, err
}

func (s *starts) stop() {
	for _, h := range s.hosts {
		if err := h.stop(); err != nil {
			s.b.result.note("%v", err)
		}
	}
}

// turn measures n starts of each.
func (s *starts) turn(n int) error {
	b, name := s.b, "start"+s.variant.suffix
	var out []byte
	err := fmt.Errorf("the host's network is gone")
	s.host.inside(func() { out, err = b.limitCommand(s.host, "times", n, s.variant.limit, "/out/times", "once").Output() })
	if err != nil {
		return fmt.Errorf("the limit%s: %w", s.variant.suffix, err)
	}
	for _, f := range strings.Fields(string(out)) {
		ns, _ := strconv.ParseFloat(f, 64)
		b.result.add(name, limitName, "ms", ns/1e6)
	}
	for subject, bin := range b.bins() {
		if subject != ours && s.variant != plain {
			continue // of another one only plain containers are known to be
		}
		if err := b.failed(subject, "starts in the daemon", b.startInDaemon(s.variant, subject, bin, n)); err != nil {
			return err
		}
	}
	for _, c := range s.list {
		if !c.failed {
			c.around(func() { b.runs(name, c, n) })
		}
	}
	return nil
}

// runs measures a command; one that takes long is seen as well by a few.
func (b *bench) runs(name string, c *runner, n int) {
	for i, most := 0, n; i < most; i++ {
		begin := time.Now()
		if out, err := c.command().CombinedOutput(); err != nil {
			b.result.note("%s of %s: %v: %.200s", name, c.name, err, strings.TrimSpace(string(out)))
			c.failed = true
			return
		}
		took := time.Since(begin)
		b.result.add(name, c.name, "ms", float64(took)/1e6)
		if took > slow {
			most = max(1, n/5)
		}
	}
}

// slow is what is measured less often.
const slow = 50 * time.Millisecond

// startInDaemon is the time from one first instruction to the next of a
// container that ends at once: its end, and the whole next one.
func (b *bench) startInDaemon(v *variant, subject, bin string, n int) error {
	h, err := b.newHostOf(v, bin, process{"once", v.once, 1})
	if err == nil {
		err = h.start()
	}
	if err != nil {
		return err
	}
	_, err = h.started(n + 2)
	if stop := h.stop(); err == nil {
		err = stop
	}
	if err != nil {
		return err
	}
	times := readTimes(h.file())
	for i := 2; i < n+2; i++ {
		b.result.add("start"+v.suffix, subject, "ms", float64(times[i]-times[i-1])/1e6)
	}
	return nil
}
