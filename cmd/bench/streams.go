package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	streamRounds = 3
	streamDrain  = 2 * time.Second // for which the old program is kept
)

// measureStreams opens a websocket and an event stream before each swap, and looks how they end. It changes for how long the sites
// keep their old programs: it comes last.
func measureStreams(ctx context.Context, o choice, sites []*site) ([]work, error) {
	w := work{Name: "redeploy, streams", Text: fmt.Sprintf(`A websocket and a stream of events are open when the program is replaced, and neither end of them wants to close. The drain of the
old program is limited to %s, and where there is no drain it is killed then. After: from the check's answer to the end of the stream.
Cut: without a close frame; without the end of a chunked answer.`, streamDrain),
		Goals: []goal{{Who: ours, Metric: "websocket after", AtLeast: 0.95 * milliseconds(streamDrain)}, {Who: ours, Metric: "websocket cut", None: true},
			{Who: ours, Metric: "events after", AtLeast: 0.95 * milliseconds(streamDrain)}, {Who: ours, Metric: "events cut", None: true}}}
	var streaming []*site
	for _, one := range sites {
		if one.client != nil || one.settle > 0 { // the others are the same again, with another time until the kill
			one.settle = streamDrain
			streaming = append(streaming, one)
		}
	}
	err := inTurn(o.times(streamRounds), streaming, func(one *site) error {
		who, _, _ := strings.Cut(one.name, ",")
		socket, events, err := one.endings(ctx)
		if err != nil {
			return err
		}
		w.add(who, "websocket after", "ms", milliseconds(socket.after))
		w.add(who, "websocket cut", "number", socket.cuts())
		w.add(who, "events after", "ms", milliseconds(events.after))
		w.add(who, "events cut", "number", events.cuts())
		w.remark("First ends of "+who+": ", fmt.Sprintf("websocket %s; events %s.", socket.how, events.how))
		return nil
	})
	return []work{w}, err
}

// ending is how a stream ended.
type ending struct {
	at    time.Time
	after time.Duration // the new program was healthy
	clean bool
	how   string
}

func (e ending) cuts() float64 {
	if e.clean {
		return 0
	}
	return 1
}

// endings replaces the release while two streams are open.
func (s *site) endings(ctx context.Context) (socket, events ending, err error) {
	ctx, cancel := context.WithTimeout(ctx, streamDrain+answerPatience)
	defer cancel()
	socketEnds, err := watchWebsocket(ctx, s.plain)
	if err != nil {
		return socket, events, fmt.Errorf("open websocket: %w", err)
	}
	eventsEnd, err := watchEvents(ctx, s.plain)
	if err != nil {
		return socket, events, fmt.Errorf("open events: %w", err)
	}
	begun := time.Now()
	one, err := s.replace(ctx, begun, streamDrain)
	if err != nil {
		return socket, events, err
	}
	socket, events = <-socketEnds, <-eventsEnd
	if ctx.Err() != nil {
		return socket, events, fmt.Errorf("streams go on: %w", ctx.Err())
	}
	healthy := begun.Add(one.healthy)
	socket.after, events.after = socket.at.Sub(healthy), events.at.Sub(healthy)
	return socket, events, nil
}

// watchWebsocket returns once a message has come. The end is sent once, at the latest when ctx is done.
func watchWebsocket(ctx context.Context, address string) (<-chan ending, error) {
	c, _, err := websocket.Dial(ctx, "ws://"+host+"/ws", &websocket.DialOptions{HTTPClient: clientOf(address)}) //nolint:bodyclose // it is taken over
	if err != nil {
		return nil, err
	}
	if _, _, err := c.Read(ctx); err != nil {
		return nil, errors.Join(err, c.CloseNow())
	}
	ends := make(chan ending, 1)
	go func() {
		defer c.CloseNow()
		for {
			_, _, err := c.Read(ctx)
			if err == nil {
				continue
			}
			status := websocket.CloseStatus(err)
			how := fmt.Sprintf("cut (%v)", err)
			if status != -1 {
				how = fmt.Sprintf("closed by %d", status)
			}
			ends <- ending{at: time.Now(), clean: status != -1, how: how}
			return
		}
	}()
	return ends, nil
}

// watchEvents is the same for a stream of events.
func watchEvents(ctx context.Context, address string) (<-chan ending, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/events", nil)
	if err != nil {
		return nil, err
	}
	answer, err := clientOf(address).Do(r) //nolint:bodyclose // it is, when the stream has ended
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(answer.Body, make([]byte, len("data: "))); err != nil || answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("answered %s", answer.Status), err, answer.Body.Close())
	}
	ends := make(chan ending, 1)
	go func() {
		defer answer.Body.Close()
		_, err := io.Copy(io.Discard, answer.Body)
		how := "ended"
		if err != nil {
			how = fmt.Sprintf("cut (%v)", err)
		}
		ends <- ending{at: time.Now(), clean: err == nil, how: how}
	}()
	return ends, nil
}

// clientOf goes to an address whatever the URL says, over a new connection each time.
func clientOf(address string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}}}
}
