package db

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
)

// Secret is a value that no log may show, and the name under which people know it.
type Secret struct{ Name, Value string }

var (
	// secretName is how variables are called that hold a secret whatever it looks like.
	secretName = regexp.MustCompile(`(?i)PASS|SECRET|TOKEN|KEY|DSN|CREDENTIAL|PRIVATE`)

	// ordinary are values that stand in every log: a word, a number, an address, a version.
	ordinary = regexp.MustCompile(`^(?:\pL+|[-+v]?[0-9][0-9.,:]*\pL{0,3})$`)
)

// shortestVariable is the length in bytes below which a value is likely to stand in a log by itself.
const shortestVariable = 6

// Secrets are the values of the workload that are to be kept out of what people read: build secrets, passwords of
// registries, and variables that nobody called plain, of the config too. A variable whose value is short, one word or a number is
// none, unless its name speaks of a secret.
func (w Workload) Secrets() (all []Secret) {
	var c struct {
		Env          map[string]string `json:"env"`
		BuildSecrets map[string]string `json:"build_secrets"`
		Registry     struct {
			Password string `json:"password"`
		} `json:"registry"`
		Registries map[string]struct {
			Password string `json:"password"`
		} `json:"registries"`
	}
	_ = json.Unmarshal(w.Config, &c) // what of it is not understood is no secret either
	for name, value := range c.BuildSecrets {
		all = append(all, Secret{name, value})
	}
	for _, r := range c.Registries {
		all = append(all, Secret{"password", r.Password})
	}
	all = append(all, Secret{"password", c.Registry.Password})
	for name, value := range c.Env {
		all = appendVariable(all, name, value)
	}
	for name, value := range w.Env {
		if !slices.Contains(w.Plain, name) {
			all = appendVariable(all, name, value)
		}
	}
	return all
}

// Secrets are those of the workload at the time the release was made.
func (r Release) Secrets() []Secret {
	if r.Origin == nil {
		return Workload{Env: r.Env}.Secrets()
	}
	return Workload{}.At(*r.Origin).Secrets()
}

// Secrets are all but those that are public by nature.
func (c Credentials) Secrets() []Secret {
	return []Secret{
		{"webhook_secret", c.WebhookSecret}, {"webhook_secret", c.OldSecret}, {"signing_token", c.SigningToken},
		{"token", c.Token}, {"private_key", c.PrivateKey}, {"client_secret", c.ClientSecret},
	}
}

// appendVariable also has the password of an address by itself: programs tell it apart.
func appendVariable(all []Secret, name, value string) []Secret {
	if !secretName.MatchString(name) && (len(value) < shortestVariable || ordinary.MatchString(value)) {
		return all
	}
	all = append(all, Secret{name, value})
	if u, err := url.Parse(value); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			all = append(all, Secret{name, password})
		}
	}
	return all
}
