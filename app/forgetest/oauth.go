package forgetest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
)

// oauth lets accounts sign in elsewhere: authorization codes with PKCE, for one application. It is part of GitHub's App; on
// Gitea somebody makes it in the settings.
type oauth struct {
	clientID, clientSecret string

	// Under Server.mu.
	visitor string           // who looks at the page of authorization; "" declines
	codes   map[string]grant // not yet redeemed
	tokens  map[string]string

	callbacks []string // of an App that was made of a manifest; nil when it takes any
}

// grant is what a code stands for.
type grant struct{ login, redirect, challenge string }

func newOAuth() *oauth {
	return &oauth{clientID: "client-" + randomHex(8), clientSecret: randomHex(20), visitor: Developer, codes: map[string]grant{}, tokens: map[string]string{}}
}

// OAuthApp returns the id and the secret of the application with which people sign in elsewhere.
func (s *Server) OAuthApp() (clientID, clientSecret string) {
	return s.oauth.clientID, s.oauth.clientSecret
}

// Visitor says whose browser it is that is asked whether it may sign in elsewhere, and says yes; "" says no. It is the
// developer's at first.
func (s *Server) Visitor(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.visitor = login
}

// authorize is the page on which a person would press a button: the answer leads back at once.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if q.Get("client_id") != s.oauth.clientID || q.Get("response_type") != "code" || err != nil || back.Host == "" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "The application is not known", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oauth.callbacks != nil && !slices.Contains(s.oauth.callbacks, q.Get("redirect_uri")) {
		http.Error(w, "The redirect_uri is not associated with this application", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if s.oauth.visitor == "" {
		answer.Set("error", "access_denied")
	} else {
		code := randomHex(10)
		s.oauth.codes[code] = grant{s.oauth.visitor, q.Get("redirect_uri"), q.Get("code_challenge")}
		answer.Set("code", code)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// redeem makes a token of a code, once. GitHub says 200 with an error; this is Gitea's manner, of which the body names what
// was sent.
func (s *Server) redeem(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := r.PostFormValue("code")
	g, known := s.oauth.codes[code]
	delete(s.oauth.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("client_id") != s.oauth.clientID, r.PostFormValue("client_secret") != s.oauth.clientSecret:
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_client", "error_description": "cannot find " + r.PostFormValue("client_secret")})
	case !known, g.redirect != r.PostFormValue("redirect_uri"), g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		answerJSON(w, http.StatusBadRequest, map[string]string{"error": "unauthorized_client", "error_description": "failed with " + code})
	default:
		token := randomHex(20)
		s.oauth.tokens[token] = g.login
		answerJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 3600})
	}
}

// signedIn is whose token a request has, "" where it is none of a person.
func (s *Server) signedIn(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oauth.tokens[bearer(r)]
}
