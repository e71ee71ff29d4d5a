package forgetest

import (
	"fmt"
	"io"
	"net/http"
)

// Fault is an answer that replaces the forge's own.
type Fault struct {
	Status   int         // 0 means 500
	Header   http.Header // added to the answer
	Location string      // of a redirect
	Body     string
	Reflect  bool                                         // put the request's credentials into the body, as a hostile forge would
	Silent   bool                                         // no answer at all until the caller gives up
	Write    func(w http.ResponseWriter, r *http.Request) // writes the whole answer, in place of all above
}

// Fault makes f decide about every request, API and git; nil ends it. Where f returns nil the forge answers as usual.
func (s *Server) Fault(f func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	// Only after the body is read does net/http notice that the caller has gone.
	_, _ = io.Copy(io.Discard, r.Body)
	if f.Write != nil {
		f.Write(w, r)
		return
	}
	if f.Silent {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if f.Location != "" {
		w.Header().Set("Location", f.Location)
	}
	body := f.Body
	if f.Reflect {
		body += fmt.Sprintf("{\"message\":%q}", r.Header.Get("Authorization")+r.Header.Get("Private-Token"))
	}
	w.WriteHeader(f.status())
	_, _ = io.WriteString(w, body)
}

func (f *Fault) status() int {
	if f.Status == 0 {
		return http.StatusInternalServerError
	}
	return f.Status
}
