package knot

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func fails(x *executor, err error) { x.do(func() error { return err }) }

func TestExecutorKeepsTheFirstFailure(t *testing.T) {
	x := new(executor)
	fails(x, unix.ENOENT)
	if !x.failed(unix.ENOENT) || x.failed(unix.EPERM) {
		t.Errorf("the failure is %v", x.err)
	}
	fails(x, unix.EPERM)
	x.refuse(errors.New("refused"))
	if x.failure() != unix.ENOENT {
		t.Errorf("the failure became %v", x.err)
	}
	// It is that of no operation since.
	if x.failed(unix.ENOENT) || x.may(absent) != noMark || x.failure() == nil {
		t.Errorf("an operation that was not carried out has failed, with %v", x.err)
	}
}

func TestExecutorLeavesOutOperations(t *testing.T) {
	x := new(executor)
	done := 0
	count := func() { x.do(func() error { done++; return nil }) }
	count()
	outer := x.may(absent)
	fails(x, unix.ENOTDIR)
	inner := x.may(absent)
	count()
	more := x.may(absent)
	count()
	x.until(more)
	x.until(outer)
	count()
	if x.failure() != nil || done != 1 {
		t.Errorf("%d operations, failure %v", done, x.failure())
	}
	x.until(inner)
	if count(); done != 2 {
		t.Errorf("%d operations: those after until were left out", done)
	}
}
