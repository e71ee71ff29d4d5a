package docker

import (
	"bytes"
	"testing"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
)

// TestPushProgress: a line for each layer, one now and then, and one for each time that a layer has to be sent again, however often
// the engine says so.
func TestPushProgress(t *testing.T) {
	var log bytes.Buffer
	p := newPushProgress(&lines{w: &log, blot: blotter(nil)})
	say := func(id, status string, done int64) {
		m := jsonmessage.JSONMessage{ID: id, Status: status}
		if done > 0 {
			m.Progress = &jsonmessage.JSONProgress{Current: done, Total: 5e6}
		}
		p.show(m)
	}
	say("", "The push refers to repository [x/web]", 0)
	say("a", "Preparing", 0)
	say("b", "Waiting", 0)
	p.next = time.Now()
	say("a", "Pushing", 2e6)
	for range 2 {
		say("a", "Retrying in 2 seconds", 0)
		say("a", "Retrying in 1 second", 0)
		say("a", "Pushing", 1e6)
	}
	say("a", "Pushed", 0)
	say("b", "Layer already exists", 0)
	say("", "17.x: digest: sha256:0123 size: 527", 0)
	const again = "a: It did not get through, and is sent again\n"
	if want := "The push refers to repository [x/web]\nSent 2MB\n" + again + again + "a: Pushed\nb: Layer already exists\n"; log.String() != want {
		t.Errorf("the log is\n%s\nwant\n%s", log.String(), want)
	}
}
