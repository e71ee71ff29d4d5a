package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"

	"tinyforge/app/forgetest"
)

// Each request has to be one that GitHub could have sent, and none may be like another: who sees one twice has less to do.
func TestDeliveriesAreSignedAndUnique(t *testing.T) {
	before, after := strings.Repeat("a", 40), strings.Repeat("b", 40)
	const id = "72d3162e-cc78-41e3-81ab-4c9367dc0958"
	sent := forgetest.Delivery{ID: id, Body: []byte(`{"before":"` + before + `","after":"` + after + `","head_commit":{"id":"` + after + `"}}`), Header: http.Header{}}
	for name, value := range map[string]string{"Content-Type": "application/json", "X-GitHub-Delivery": id, "X-GitHub-Event": "push",
		signatureField: signaturePrefix + strings.Repeat("0", 64)} {
		sent.Header.Set(name, value)
	}
	site := &hookSite{deliveries: []forgetest.Delivery{sent}}
	list, err := site.made("/webhooks/bench", "secret", 2)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{id: true, before: true, after: true}
	for range 3 {
		for _, d := range list {
			want := d.renew()
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(d.text)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := github.ValidatePayload(r, []byte("secret"))
			if err != nil || github.DeliveryID(r) != want || r.URL.Path != "/webhooks/bench" {
				t.Fatalf("delivery %s of id %q to %s: %v", want, github.DeliveryID(r), r.URL, err)
			}
			var push struct {
				Before, After string
				HeadCommit    struct{ ID string } `json:"head_commit"`
			}
			if err := json.Unmarshal(body, &push); err != nil || push.After != push.HeadCommit.ID {
				t.Errorf("the body is %s: %v", body, err)
			}
			for _, word := range []string{want, push.Before, push.After} {
				if seen[word] {
					t.Errorf("%s comes twice", word)
				}
				seen[word] = true
			}
		}
	}
}
