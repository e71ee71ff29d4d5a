package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// githubDelivery is an attempt to deliver something, as GitHub lists it.
type githubDelivery struct {
	ID             int64     `json:"id"`
	GUID           string    `json:"guid"`
	DeliveredAt    time.Time `json:"delivered_at"`
	Redelivery     bool      `json:"redelivery"`
	Duration       float64   `json:"duration"`
	Status         string    `json:"status"`
	StatusCode     int       `json:"status_code"`
	Event          string    `json:"event"`
	Action         *string   `json:"action"`
	InstallationID *int64    `json:"installation_id"`
	RepositoryID   *int64    `json:"repository_id"`
}

// firstDelivery is the id of the first attempt; each has one more than the one before.
const firstDelivery = 12345678

// listDeliveries lists the attempts to deliver to the App's webhook, the newest first. It goes on from a cursor, by which
// new attempts move nothing.
func (g *gitHub) listDeliveries(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	size := min(atLeastOne(query.Get("per_page"), githubPaging().usual), githubPaging().largest)
	all := g.attempts()
	if cursor := query.Get("cursor"); cursor != "" {
		from, err := strconv.ParseInt(strings.TrimPrefix(cursor, "v1_"), 10, 64)
		if err != nil {
			githubError(w, http.StatusUnprocessableEntity, "Invalid cursor")
			return
		}
		all = slices.DeleteFunc(all, func(d githubDelivery) bool { return d.ID > from })
	}
	if len(all) > size {
		query.Set("cursor", fmt.Sprintf("v1_%d", all[size].ID))
		w.Header().Set("Link", fmt.Sprintf("<%sapp/hook/deliveries?%s>; rel=%q", g.apiURL(), query.Encode(), "next"))
		all = all[:size]
	}
	answerJSON(w, http.StatusOK, all)
}

// redeliver answers before the attempt is made.
func (g *gitHub) redeliver(w http.ResponseWriter, r *http.Request) {
	done := g.s.sender.finished()
	i := pathID(r, "delivery") - firstDelivery
	if i < 0 || i >= int64(len(done)) {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	g.s.sender.send(g.again(done[i]))
	answerJSON(w, http.StatusAccepted, map[string]any{})
}

func (g *gitHub) attempts() []githubDelivery {
	all := []githubDelivery{}
	known := map[string]bool{}
	for i, d := range g.s.sender.finished() {
		one := githubDelivery{
			ID: firstDelivery + int64(i), GUID: d.ID, DeliveredAt: d.At.UTC().Truncate(time.Second), Redelivery: known[d.ID],
			Event: d.Event, StatusCode: d.Code, Status: "OK",
		}
		switch {
		case d.Code == 0:
			one.Status = "failed to connect to host"
		case d.Code >= http.StatusMultipleChoices:
			one.Status = fmt.Sprintf("Invalid HTTP Response: %d", d.Code)
		}
		known[d.ID] = true
		all = append(all, one)
	}
	slices.Reverse(all)
	return all
}
