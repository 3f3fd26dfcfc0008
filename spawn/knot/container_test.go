package knot_test

import (
	"testing"
)

func TestK2_First(t *testing.T) {
	b := newBox(t)
	r := b.look()
	t.Logf("%+v", r)
	t.Log(b.read(b.log))
	t.Log(b.read(b.record))
}
