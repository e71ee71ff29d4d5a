package webhooks_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"tinyforge/app"
	"tinyforge/app/gitea"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

// TestKilledWhileADeliveryIsRecorded: a process that dies before it recorded a delivery has nothing of it, and one that dies
// before it answered has all of it. Sent again, it is deployed once in both cases.
func TestKilledWhileADeliveryIsRecorded(t *testing.T) {
	t.Parallel()
	for point, want := range map[string]int{"before": 0, "after": 1} {
		for dialect, address := range migratedtest.Databases(t) {
			t.Run(point+" "+dialect, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, address)
				workload := w.workload(w.repository(w.forge("git", "gitea"), 4711, "acme/site", "main"), "site", "main", nil)
				deliver := func(url string) error {
					body := push("refs/heads/main", hash("1"), hash("2")).body()
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/webhooks/git", bytes.NewReader(body))
					must(t, err)
					req.Header = signed("gitea", "push", "one", body)
					resp, err := http.DefaultClient.Do(req)
					if err == nil {
						_ = resp.Body.Close()
					}
					return err
				}
				url, killed := receiver(t, w, address, point)
				if err := deliver(url); err == nil {
					t.Error("it was answered")
				}
				killed()
				if n := w.queued(workload); n != want {
					t.Errorf("%d deployments are queued, want %d", n, want)
				}
				must(t, deliver(w.url))
				if n := w.queued(workload); n != 1 {
					t.Errorf("%d deployments are queued in the end", n)
				}
			})
		}
	}
}

const receiverVariable = "TINYFORGE_TEST_RECEIVER"

// receiver starts a process that kills itself before it records a delivery, or after. killed waits for that.
func receiver(t *testing.T, w *world, address, point string) (url string, killed func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReceiverHelper$")
	cmd.Env = append(os.Environ(), receiverVariable+"="+strings.Join([]string{point, address, w.keys.Text()}, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	url, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(url), func() {
		_ = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Errorf("the process ended by itself: %v", cmd.ProcessState)
		}
	}
}

// TestReceiverHelper is no test but the process of receiver.
func TestReceiverHelper(t *testing.T) {
	what := strings.SplitN(os.Getenv(receiverVariable), "\n", 3)
	if len(what) != 3 {
		return
	}
	keys, err := db.ParseKeyring(what[2])
	must(t, err)
	store, err := db.Open(t.Context(), what[1], keys)
	must(t, err)
	die := func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	forges := app.NewForges(store, map[string]app.Opener{"gitea": gitea.New})
	handler := webhooks.New(store, func(row db.Forge) (app.Forge, error) {
		forge, err := forges.OpenRow(row)
		if what[0] == "before" {
			forge = dying{forge, die}
		}
		return forge, err
	}, slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/{forge}", func(rw http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(unanswered{rw, func(http.ResponseWriter) { die() }}, r)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	select {}
}

// dying is a forge whose process dies when a delivery has verified.
type dying struct {
	app.Forge
	die func()
}

func (d dying) Push(h http.Header, body []byte) (app.Push, error) {
	push, err := d.Forge.Push(h, body)
	d.die()
	return push, err
}
