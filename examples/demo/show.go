package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"text/template"
)

// guide is what a visitor reads when the containers run.
var guide = template.Must(template.New("guide").Parse(`
Three containers answer at one port, in turn:

    curl {{.URL}}

Try in another terminal, as root; the log goes on below:

  * Kill one, and see it come back:
      pkill -KILL -f '{{.Name}}.1 --master {{.Dir}}/'

  * Ask for four, or for another greeting (howdy, ahoy):
      sed -i 's/instances: .*/instances: 4/' {{.Processes}}
      sed -i 's/greeting: .*/greeting: howdy/' {{.Processes}}
    then tell lithos_tree:
      kill -QUIT $(cat {{.PIDFile}})

  * Read what the containers say:
      tail -f {{.StdioLog}}

  * Look at the configs, the image and the data:
      ls {{.Dir}}/etc {{.Dir}}/images/{{.Image}} {{.Dir}}/data

Ctrl-C ends everything and removes {{.Dir}}.

`))

// show runs the demo in the foreground until a signal or the daemon's end.
func show(h *host, signals <-chan os.Signal) error {
	fmt.Printf("starting lithos_tree on a host of its own in %s\n\n", h.Dir)
	d, err := h.startDaemon(os.Stderr)
	if err != nil {
		return err
	}
	if interrupted, err := waitUp(h, d, signals); err != nil {
		_ = d.stop()
		h.sweep()
		return err
	} else if !interrupted {
		if err := printGuide(h); err != nil {
			return err
		}
		select {
		case <-signals:
		case <-d.ended:
			h.sweep()
			return d.check()
		}
	}
	fmt.Printf("\nstopping\n")
	go func() { // a second Ctrl-C is handed on, too
		for range signals {
			d.signal(syscall.SIGTERM)
		}
	}()
	if err := d.stop(); err != nil {
		h.sweep()
		return err
	}
	if err := h.checkEnd(); err != nil {
		return err
	}
	fmt.Println("ended: no process, mount or cgroup is left")
	return nil
}

// waitUp waits until all instances answer.
func waitUp(h *host, d *daemon, signals <-chan os.Signal) (interrupted bool, err error) {
	err = waitFor(30, func() error {
		select {
		case <-signals:
			interrupted = true
			return nil
		default:
		}
		if err := d.check(); err != nil {
			return fmt.Errorf("%w: %w", errNow, err)
		}
		_, err := h.askAll(3)
		return err
	})
	return interrupted, err
}

func printGuide(h *host) error {
	var b strings.Builder
	err := guide.Execute(&b, map[string]string{
		"URL": h.url(), "Name": sandbox + "/" + process, "Dir": h.Dir, "Image": image,
		"Processes": h.processes(), "PIDFile": h.pidFile(), "StdioLog": h.stdioLog(),
	})
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(b.String())
	return err
}
