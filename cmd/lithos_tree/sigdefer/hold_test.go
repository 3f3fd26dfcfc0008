package sigdefer

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a program that becomes itself, and the one
// that holds its signals meanwhile.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv("SIGDEFER_TEST") {
	case "":
		os.Exit(m.Run())
	case "hold":
		err = Hold(os.Getppid(), []syscall.Signal{syscall.SIGTERM}, time.Minute, os.Stdin, os.Stdout)
	case "before":
		err = before()
	case "after":
		err = after()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// before starts the holder, and then becomes after.
func before() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	os.Setenv("SIGDEFER_TEST", "hold")
	held, err := Start("/proc/self/exe", os.Args)
	if err == nil {
		err = held.Await(time.Minute)
	}
	if err != nil {
		return err
	}
	fmt.Println("holding")
	// Some threads more, as a daemon has.
	for range 8 {
		go func() { _, _ = syscall.Read(0, make([]byte, 1)) }()
	}
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	signal.Stop(signals)
	select {
	case sig := <-signals:
		return fmt.Errorf("%v was not held", sig)
	default:
	}
	ask, _ := held.Files()
	fd, err := syscall.Dup(int(ask.Fd())) // without close-on-exec
	if err != nil {
		return err
	}
	return held.Exec("/proc/self/exe", os.Args, []string{"SIGDEFER_TEST=after", "GORACE=" + os.Getenv("GORACE"), "FD=" + strconv.Itoa(fd)})
}

func after() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fd, err := strconv.Atoi(os.Getenv("FD"))
	if err != nil {
		return err
	}
	if err := syscall.Close(fd); err != nil {
		return err
	}
	select {
	case <-signals:
		fmt.Println("taken")
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("no TERM")
	}
}

// Covers: N4
func TestHeldSignalReachesTheNextProgram(t *testing.T) {
	for n := range 60 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"SIGDEFER_TEST=before", "GORACE=atexit_sleep_ms=0"} // else each ends a second later
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		first, _ := lines.ReadString('\n')
		time.Sleep(time.Duration(n) * 150 * time.Microsecond)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		second, _ := lines.ReadString('\n')
		if err := cmd.Wait(); err != nil || strings.TrimSpace(first+second) != "holding\ntaken" {
			t.Fatalf("round %d: %v: %s%s", n, err, first, second)
		}
		_ = in.Close()
	}
}
