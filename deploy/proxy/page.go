package proxy

import (
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

// page is an answer that the proxy makes itself. It names nothing of ours: it is shown to the visitors of a site.
type page struct {
	status     int
	retryAfter time.Duration // 0 for none
	title      string
	text       string
}

var (
	notFound = page{http.StatusNotFound, 0, "No site here",
		"There is no site under this address on this server."}
	nothingHere = page{http.StatusServiceUnavailable, 30 * time.Second, "Not running",
		"This site is not running at the moment. Please try again later."}
	tryAgain = page{http.StatusServiceUnavailable, 5 * time.Second, "Just a moment",
		"This site is being updated. Please try again in a few seconds."}
	signIn = page{http.StatusUnauthorized, 0, "Sign in",
		"This site asks for a user name and a password."}
	tooLarge = page{http.StatusRequestEntityTooLarge, 0, "Too large",
		"This is more than this site takes at once."}
	busy = page{http.StatusServiceUnavailable, 5 * time.Second, "Just a moment",
		"Many visitors are signing in at the moment. Please try again in a few seconds."}
	noAnswer = page{http.StatusBadGateway, 0, "No answer",
		"This site does not answer at the moment. Please try again later."}
	timedOut = page{http.StatusGatewayTimeout, 0, "No answer in time",
		"This site took too long to answer. Please try again later."}
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// write answers with the page. Its error is about the connection and always nil.
func (p page) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Server")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
	w.WriteHeader(p.status)
	_ = pageTemplate.Execute(w, map[string]any{"Status": p.status, "Title": p.title, "Text": p.text})
	return nil
}
