package docker

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
)

// pulled is what the log of a pull says, whose messages come from send.
func pulled(t *testing.T, send func(say func(id, status string, current, total int64))) string {
	t.Helper()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			encoder := json.NewEncoder(w)
			send(func(id, status string, current, total int64) {
				m := jsonmessage.JSONMessage{ID: id, Status: status}
				if total > 0 {
					m.Progress = &jsonmessage.JSONProgress{Current: current, Total: total}
				}
				if err := encoder.Encode(m); err != nil {
					t.Error(err)
				}
			})
			_ = w.Close()
		}()
		if _, err := readPull(t.Context(), r, &lines{w: &log, blot: blotter(nil)}); err != nil {
			t.Error(err)
		}
	})
	return log.String()
}

const mega = 1_000_000

func TestPullProgress(t *testing.T) {
	t.Parallel()
	log := pulled(t, func(say func(id, status string, current, total int64)) {
		say("latest", "Pulling from acme/site", 0, 0)
		say("base", "Already exists", 0, 0)
		for _, layer := range []string{"one", "two", "three"} {
			say(layer, "Pulling fs layer", 0, 0)
		}
		say("three", "Waiting", 0, 0)
		for n := range int64(10) { // ten messages a second, as engines send them
			for i := range int64(10) {
				done := (10*n + i) * mega
				say("one", "Downloading", done, 100*mega)
				say("two", "Downloading", min(done, 20*mega), 20*mega)
				time.Sleep(100 * time.Millisecond)
			}
		}
		say("two", "Download complete", 0, 0)
		say("one", "Verifying Checksum", 0, 0)
		say("one", "Download complete", 0, 0)
		say("one", "Extracting", 50*mega, 100*mega)
		say("one", "Pull complete", 0, 0)
		say("two", "Pull complete", 0, 0)
		time.Sleep(30 * time.Second)
		say("three", "Downloading", mega, 4*mega)
		time.Sleep(30 * time.Second)
		say("three", "Downloading", mega, 4*mega) // it is stuck: nothing new
		say("three", "Pull complete", 0, 0)
		say("", "Digest: sha256:1234", 0, 0)
		say("", "Status: Downloaded newer image", 0, 0)
	})
	want := `base: Already exists
Downloaded 50MB of at least 120MB, 0 of 3 layers are there
Downloaded 110MB of at least 120MB, 0 of 3 layers are there
one: Pull complete
two: Pull complete
Downloaded 121MB of 124MB, 2 of 3 layers are there
three: Pull complete
Digest: sha256:1234
Status: Downloaded newer image
`
	if log != want {
		t.Errorf("the log is\n%s\nwant\n%s", log, want)
	}
}

func TestPullProgressDoesNotFlood(t *testing.T) {
	t.Parallel()
	const hour = 3600
	log := pulled(t, func(say func(id, status string, current, total int64)) {
		for n := range int64(hour) {
			say("big", "Downloading", n*mega, hour*mega)
			time.Sleep(time.Second)
		}
	})
	if n := strings.Count(log, "\n"); n < 100 || n > hour/30+5 {
		t.Errorf("%d lines in an hour", n)
	}
	if !strings.Contains(log, "GB of 3.6GB, 0 of 1 layers are there\n") {
		t.Errorf("the log ends in %q", log[max(0, len(log)-200):])
	}
}

// A quick pull says nothing of how far it is, and nonsense of an engine is no reason to fail.
func TestPullProgressOfNonsense(t *testing.T) {
	t.Parallel()
	log := pulled(t, func(say func(id, status string, current, total int64)) {
		say("a", "Downloading", 5, 0)
		say("a", "Downloading", -5, 2)
		say("a", "Downloading", 9, 2)
		say("", "Downloading", 1, 2)
		say("b", "Download complete", 0, 0)
		say("c", strings.Repeat("x", 100), 0, 0)
		time.Sleep(time.Minute)
		say("a", "Downloading", 9, 2)
		say("", "two\rlines", 0, 0)
	})
	if want := "Downloaded 10B of 11B, 0 of 3 layers are there\nlines\n"; log != want {
		t.Errorf("the log is %q, want %q", log, want)
	}
}
