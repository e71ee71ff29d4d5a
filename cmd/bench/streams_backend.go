package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// streamBeat is how often a stream says something.
const streamBeat = 20 * time.Millisecond

// serveWebsocket sends a message at each beat until it cannot. It says nothing when it ends.
func serveWebsocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	ctx := c.CloseRead(r.Context())
	for c.Write(ctx, websocket.MessageText, []byte("beat")) == nil {
		time.Sleep(streamBeat)
	}
}

// serveEvents sends an event at each beat until it cannot.
func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx keeps them back else
	for {
		if _, err := fmt.Fprint(w, "data: beat\n\n"); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-time.After(streamBeat):
		case <-r.Context().Done():
			return
		}
	}
}
