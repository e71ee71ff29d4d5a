package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"tinyforge/app"
	"tinyforge/db"
)

// manifestForge is an entry of forges.
type manifestForge struct {
	at     *manifestNode
	schema forgeSchema
	row    db.Forge // without a webhook secret where one is to be generated
	valid  bool     // no fault was found in it
}

// forgeSchema is what a kind of forge needs of a manifest, and what to say when it refuses us.
type forgeSchema struct {
	url      string   // the usual one; "" means that it has to be given
	required []string // beside name and kind
	foreign  []string // keys that mean nothing to it
	nests    bool     // its repositories may lie in groups within groups

	unauthorized string // what to do about 401
	forbidden    string // about 403
	notFound     string // about 404
	invalid      string // about 422
	unseen       string // about a repository that it does not show
}

// forgeSchemas is by kind, the keys under which serve.go registers the openers.
func forgeSchemas() map[string]forgeSchema {
	return map[string]forgeSchema{
		"github": {
			url:          "https://github.com",
			required:     []string{"app_id", "private_key", "webhook_secret"},
			foreign:      []string{"token", "signing_token"},
			unauthorized: "check app_id, and that private_key is one of this app's keys",
			forbidden:    "check the permissions of the app, and that its installation is not suspended",
			notFound:     "check url and api_url, and that the app still exists",
			invalid:      "check url and api_url",
			unseen:       "check the name, and that the app is installed on the account and may see the repository",
		},
		"gitea":   giteaSchema(),
		"forgejo": giteaSchema(),
		"gitlab": {
			url:          "https://gitlab.com",
			required:     []string{"token"},
			foreign:      []string{"app_id", "private_key"},
			nests:        true,
			unauthorized: "check token, it may have expired or been revoked",
			forbidden:    "the token needs the scope api and the role Maintainer in the project",
			notFound:     "check url, and that the token has the role Maintainer in the project",
			invalid:      "check --public-url; for a private address, GitLab's administrator must allow webhooks to the local network",
			unseen:       "check the name with all its groups, and that the token has the role Maintainer in the project",
		},
	}
}

// giteaSchema is Forgejo's too.
func giteaSchema() forgeSchema {
	return forgeSchema{
		required:     []string{"url", "token"},
		foreign:      []string{"app_id", "private_key", "signing_token"},
		unauthorized: "check token, it may have expired or been deleted",
		forbidden:    "the token needs the scopes write:repository and read:user, and its owner must be an administrator of the repository",
		notFound:     "check url, and that the token's owner is an administrator of the repository",
		invalid:      "check url and --public-url",
		unseen:       "check the name, and that the token's owner is an administrator of the repository",
	}
}

// explain says what an error of the forge means and what to do. It holds nothing that the forge sent but a status code.
func (s forgeSchema) explain(err error) string {
	status, ok := errors.AsType[*app.StatusError](err)
	if !ok {
		return err.Error()
	}
	switch code := status.Code; {
	case code == http.StatusUnauthorized:
		return "the forge refused the credentials (401): " + s.unauthorized
	case code == http.StatusForbidden && status.Permanent():
		return "the forge does not allow this (403): " + s.forbidden
	case code == http.StatusNotFound:
		return "the forge does not find it (404): " + s.notFound
	case code == http.StatusUnprocessableEntity:
		return fmt.Sprintf("%v: %s", err, s.invalid)
	case code >= 300 && code < 400:
		return fmt.Sprintf("the forge answered with a redirect (%d): check url, and that the repository was not renamed", code)
	case status.Permanent():
		return fmt.Sprintf("%v: check url and api_url", err)
	}
	return fmt.Sprintf("%v: try again later", err)
}

func (r *manifestReader) forge(n *manifestNode) manifestForge {
	before := len(r.faults)
	f := manifestForge{at: n}
	if r.object(n, "name", "kind", "url", "api_url", "app_id", "private_key", "token", "webhook_secret", "signing_token", "networks") {
		r.required(n, "name", "kind")
		f.row.Name = r.checked(n.get("name"), app.CheckName)
		f.row.Kind = r.oneOf(n.get("kind"), sortedKeys(forgeSchemas()))
		f.row.URL = strings.TrimRight(r.checked(n.get("url"), checkURL), "/")
		f.row.APIURL = strings.TrimRight(r.checked(n.get("api_url"), checkURL), "/")
		f.row.AppID = r.number(n.get("app_id"))
		f.row.Networks = r.texts(n.get("networks"), checkNetwork)
		f.row.Credentials = db.Credentials{
			WebhookSecret: r.credential(n.get("webhook_secret"), checkSecret),
			SigningToken:  r.credential(n.get("signing_token"), checkSecret),
			Token:         r.credential(n.get("token"), checkToken),
			PrivateKey:    r.credential(n.get("private_key"), checkPrivateKey),
		}
		r.fitKind(n, &f)
	}
	f.valid = len(r.faults) == before
	return f
}

// over is a forge of the database as the file wants it. What the file does not speak of stays: what people set on pages, and
// what deliveries on their way are signed with.
func (f manifestForge) over(row db.Forge) db.Forge {
	is, was := f.row, row
	row.URL, row.APIURL, row.AppID, row.Networks = is.URL, is.APIURL, is.AppID, is.Networks
	c := &row.Credentials
	c.Token, c.PrivateKey, c.SigningToken = is.Credentials.Token, is.Credentials.PrivateKey, is.Credentials.SigningToken
	switch secret := is.Credentials.WebhookSecret; {
	case secret == "" || secret == c.WebhookSecret:
	case c.Untold:
		c.WebhookSecret = secret
	default:
		c.Rotate(secret)
		c.Told()
	}
	if row.AppID != was.AppID {
		row.AppURL, row.AppSlug, row.Owner, row.OwnerIsOrganization = "", "", "", false
		c.ClientID, c.ClientSecret = "", ""
	}
	if c.Token != was.Credentials.Token {
		row.TokenUntil = time.Time{}
	}
	return row
}

// fitKind demands the keys of the kind, and those only.
func (r *manifestReader) fitKind(n *manifestNode, f *manifestForge) {
	var known bool
	if f.schema, known = forgeSchemas()[f.row.Kind]; !known {
		return
	}
	r.required(n, f.schema.required...)
	for _, key := range f.schema.foreign {
		if other := n.get(key); other != nil {
			r.add(other.fault("means nothing to a forge of kind %s: leave it out", f.row.Kind))
		}
	}
	if f.row.URL == "" {
		f.row.URL = f.schema.url
	}
}

// credential is the text that a reference stands for. A secret in the file itself is a fault, which does not repeat it.
func (r *manifestReader) credential(n *manifestNode, check func(string) string) string {
	s := r.text(n)
	if n == nil || !isString(n) {
		return ""
	}
	text, isReference, err := r.references.resolve(s)
	switch {
	case !isReference:
		r.add(n.fault("must be a reference, env:NAME or file:PATH: a secret has no place in this file"))
	case err != nil:
		r.add(n.fault("%v", err))
	case strings.TrimSpace(text) == "":
		r.add(n.fault("is empty"))
	default:
		if problem := check(text); problem != "" {
			r.add(n.fault("%s", problem))
		}
		return text
	}
	return ""
}

func isString(n *manifestNode) bool {
	_, ok := n.value.(string)
	return ok
}

func checkSecret(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "must be one line of text"
	}
	return ""
}

func checkToken(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "is no token: it holds spaces, line breaks or characters beyond ASCII"
	}
	return ""
}

func checkPrivateKey(s string) string {
	const want = "is no RSA private key in PEM form: use the .pem file that the forge gave you, whole"
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return want
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return ""
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if _, ok := key.(*rsa.PrivateKey); err != nil || !ok {
		return want
	}
	return ""
}

func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil, !slices.Contains([]string{"http", "https"}, u.Scheme), u.Hostname() == "":
		return "must be an address such as https://git.example.com"
	case u.User != nil:
		return "must not hold a user or a password"
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "must not have a query or a fragment"
	}
	return ""
}

func checkNetwork(s string) string {
	if _, err := app.ParseNetworks([]string{s}); err != nil {
		return err.Error()
	}
	return ""
}
