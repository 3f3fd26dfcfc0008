package root

import (
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = func(name string, n int) fakekernel.Behaviour { return fakekernel.Behaviour{Lifetime: 10 * time.Second} }
		h := start(t, k, plan(sb("web", proc("app", 3, "1", port(80)))))
		h.wantRunning("web/app.0", "web/app.1", "web/app.2")
		sleep(time.Hour)
		t.Log(k.Starts("web/app.0"))
		h.stop()
		t.Log(h.log.String()[len(h.log.String())-2000:])
	})
}
