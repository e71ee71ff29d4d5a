package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"tinyforge/app/forgetest"
)

// delivery is the request of a push as the forge has sent one. Each time it is sent it has an id and commits of its own, and is
// signed anew; to make it so costs some microseconds, the same for all who are measured.
type delivery struct {
	text          []byte
	id, mac, body int   // where they begin in text
	before, after []int // likewise, wherever the body names these commits
	random        *rand.ChaCha8
	sum           hash.Hash
}

const signatureField, signaturePrefix = "X-Hub-Signature-256", "sha256="

// newDelivery makes one of a delivery of GitHub. seed has to be another one for each.
func newDelivery(sent forgetest.Delivery, path, secret string, seed [32]byte) (*delivery, error) {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(sent.Header)) {
		if name != "X-Hub-Signature" && name != "User-Agent" { // nobody here reads the SHA-1 of it
			fields = append(fields, name+": "+sent.Header.Get(name))
		}
	}
	d := &delivery{text: request("POST", path, host, sent.Body, fields...), random: rand.NewChaCha8(seed), sum: hmac.New(sha256.New, []byte(secret))}
	d.body = len(d.text) - len(sent.Body)
	d.id = bytes.Index(d.text, []byte(sent.ID))
	d.mac = bytes.Index(d.text, []byte(sent.Header.Get(signatureField))) + len(signaturePrefix)
	var ends struct{ Before, After string }
	if err := json.Unmarshal(sent.Body, &ends); err != nil {
		return nil, fmt.Errorf("read delivery: %w", err)
	}
	if len(ends.Before) != 40 || len(ends.After) != 40 || len(sent.ID) != 36 || d.id < 0 || d.id > d.body || d.mac > d.body || d.mac < len(signaturePrefix) {
		return nil, errors.New("a delivery of the forge is not as it was")
	}
	d.before, d.after = d.places(ends.Before), d.places(ends.After)
	return d, nil
}

// places are where a word begins in the body.
func (d *delivery) places(word string) (list []int) {
	for at := d.body; ; at += len(word) {
		next := bytes.Index(d.text[at:], []byte(word))
		if next < 0 {
			return list
		}
		at += next
		list = append(list, at)
	}
}

// renew makes it another delivery, and returns its id.
func (d *delivery) renew() string {
	var raw [56]byte
	var digits [2 * len(raw)]byte
	_, _ = d.random.Read(raw[:]) // it never fails
	hex.Encode(digits[:], raw[:])
	for _, at := range d.before {
		copy(d.text[at:], digits[:40])
	}
	for _, at := range d.after {
		copy(d.text[at:], digits[40:80])
	}
	id, rest := d.text[d.id:d.id+36], digits[80:]
	for i := range id {
		if id[i] != '-' {
			id[i], rest = rest[0], rest[1:]
		}
	}
	d.sum.Reset()
	d.sum.Write(d.text[d.body:])
	hex.Encode(d.text[d.mac:], d.sum.Sum(raw[:0]))
	return string(id)
}

// size is that of a body in bytes.
func (h *hookSite) size() int { return len(h.deliveries[0].Body) }

// made are deliveries for some clients, of all repositories in turn.
func (h *hookSite) made(path, secret string, clients int) (list []*delivery, err error) {
	for n := range clients {
		var seed [32]byte
		h.seeds++
		copy(seed[:], fmt.Sprint(h.seeds))
		d, err := newDelivery(h.deliveries[n%len(h.deliveries)], path, secret, seed)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// send lets some clients send signed deliveries, each as soon as the one before is answered, and notes those that were.
func (h *hookSite) send(ctx context.Context, r *receiver, clients int, lasts time.Duration) (*load, error) {
	list, err := h.made(r.path, h.secret, clients)
	if err != nil {
		return nil, err
	}
	answered := make([][]string, clients)
	l, err := together(ctx, place{address: r.address}, clients, lasts, func(n int, c *client, until time.Time) *load {
		l, d := &load{}, list[n]
		for time.Now().Before(until) && ctx.Err() == nil {
			id := d.renew()
			begun := time.Now()
			a, err := c.exchange(d.text)
			if !l.expect(r.answers, a, err, time.Since(begun)) {
				return l
			}
			answered[n] = append(answered[n], id)
		}
		return l
	})
	if r.database != "" {
		r.answered = slices.Concat(append(answered, r.answered)...)
	}
	return l, err
}

// expect is note for an answer that is to have this status alone.
func (l *load) expect(status int, a answer, err error, took time.Duration) bool {
	if err == nil && a.status != status {
		err = fmt.Errorf("answered %d in place of %d", a.status, status)
	}
	return l.note(answer{status: 200}, err, took)
}
