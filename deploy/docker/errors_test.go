package docker

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestDockerIsNotReachable(t *testing.T) {
	t.Parallel()
	e, err := New(Config{Host: "unix:///nowhere/docker.sock", Instance: "x"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "Docker is not reachable: is it running?" // without its address, which is nobody's business on a forge
	var log bytes.Buffer
	dir := deploytest.SampleCheckout(t)
	for name, call := range map[string]func() error{
		"start":   func() error { _, err := e.Start(t.Context(), db.Release{ID: "tf-x-1"}); return err },
		"stop":    func() error { return e.Stop(t.Context(), "tf-x-1") },
		"remove":  func() error { return e.Remove(t.Context(), "tf-x-1") },
		"inspect": func() error { _, err := e.Inspect(t.Context(), "tf-x-1"); return err },
		"tail":    func() error { _, err := e.Tail(t.Context(), "tf-x-1"); return err },
		"list":    func() error { _, err := e.List(t.Context()); return err },
		"pull":    func() error { _, err := e.Pull(t.Context(), deploy.PullSpec{Ref: "web:1"}, &log); return err },
		"build": func() error {
			_, err := e.Build(t.Context(), deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: "x:1"}, &log)
			return err
		},
	} {
		err := call()
		if text := failure(t, err); text != want || !strings.Contains(err.Error(), "unix:///nowhere/docker.sock") {
			t.Errorf("%s: failure is %q, and the log says %q", name, text, err)
		}
	}
}

func TestDockerGoesAwayInTheMiddle(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	dir := toolDir(t, `RUN ["/tool","wait","`+e.cfg.Instance+`"]`, nil)
	f := newFront(t, e, nil)
	log := &signalLog{text: "waiting", seen: make(chan struct{})}
	go func() {
		<-log.seen
		f.cut()
	}()
	_, err := f.engine(e).Build(t.Context(), deploy.BuildSpec{Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("gone")}, log)
	if text := failure(t, err); !strings.Contains(text, "Docker is not reachable") || !strings.Contains(err.Error(), "unix://"+f.path) {
		t.Errorf("failure is %q", text)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	f := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if !under(r, "/containers/create") && !under(r, "/images/create") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"mkdir /var/lib/docker/overlay2/0a: no space left on device"}`)
		return true
	})
	_, err := f.engine(e).Start(t.Context(), r)
	if text := failure(t, err); !strings.Contains(text, "disk of the Docker host is full") {
		t.Errorf("failure is %q", text)
	}
	_, err = f.engine(e).Pull(t.Context(), deploy.PullSpec{Ref: "127.0.0.1:1/web:1"}, &bytes.Buffer{})
	if text := failure(t, err); !strings.Contains(text, "disk of the Docker host is full") {
		t.Errorf("failure is %q", text)
	}
}

// TestStuckContainer: a Docker that was ended has left something of a container that keeps it from ever starting again.
func TestStuckContainer(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	if _, err := e.Start(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	old, err := e.docker.ContainerInspect(t.Context(), string(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if !under(r, "/containers/"+old.ID+"/start") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"message":"task %s: already exists"}`, old.ID)
		return true
	})
	in, err := f.engine(e).Start(t.Context(), r)
	if err != nil || in.State != deploy.Running {
		t.Errorf("it is %+v, %v", in, err)
	}
	if now, err := e.docker.ContainerInspect(t.Context(), string(r.ID)); err != nil || now.ID == old.ID {
		t.Errorf("it is the same container (%v)", err)
	}
}
