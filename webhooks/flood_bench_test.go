package webhooks_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"tinyforge/db/migratedtest"
)

// BenchmarkSignedDeliveries records signed deliveries, alone and while somebody sends 500 unsigned ones a second, by one sender
// and by four.
func BenchmarkSignedDeliveries(b *testing.B) {
	for _, flooding := range []int{0, 1, 4} {
		b.Run(strconv.Itoa(flooding)+" flooding", func(b *testing.B) {
			w := newWorld(b, migratedtest.SQLite(b))
			forge, _ := w.site("gitea")
			stop := make(chan struct{})
			var senders sync.WaitGroup
			for range flooding {
				senders.Go(func() { flood(w.url+"/webhooks/"+forge.Name, time.Duration(flooding)*2*time.Millisecond, stop) })
			}
			begun := time.Now()
			i := 0
			for b.Loop() {
				i++
				body := push("refs/heads/main", hash("1"), fmt.Sprintf("%040x", i+2)).body()
				r := w.deliver(forge, "push", "d"+strconv.Itoa(i), body)
				if r.code != http.StatusAccepted && r.code != http.StatusOK {
					b.Fatalf("delivery %d is answered %d", i, r.code)
				}
			}
			b.ReportMetric(float64(i)/time.Since(begun).Seconds(), "signed/s")
			close(stop)
			senders.Wait()
		})
	}
}

// flood sends a delivery that nobody has signed every so often until stop.
func flood(url string, every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	body := bytes.Repeat([]byte(" "), 4<<10)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if resp, err := client.Post(url, "application/json", bytes.NewReader(body)); err == nil {
			_ = resp.Body.Close()
		}
	}
}
