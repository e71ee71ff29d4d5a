package settings

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	"tinyforge/db"
)

// bullets stand where a secret is that is not shown. Where they come back, the secret stays as it is.
const bullets = "••••••••"

// draftLife is how long a form keeps secrets that were typed into it and could not be saved.
const draftLife = 2 * time.Hour

// secrets are what a form may use and no page may show.
type secrets struct {
	Env       map[string]string          `json:"env,omitempty"`       // by name
	Config    map[string]json.RawMessage `json:"config,omitempty"`    // values by path
	Passwords map[string]string          `json:"passwords,omitempty"` // bcrypt hashes by user name
}

func newSecrets() secrets {
	return secrets{map[string]string{}, map[string]json.RawMessage{}, map[string]string{}}
}

// secretsOf are those of a saved workload. Nobody called the variables of its config plain, so all of them are among them.
func secretsOf(w db.Workload) secrets {
	s := newSecrets()
	maps.Copy(s.Env, w.Env)
	for _, u := range w.Routing.BasicAuth {
		s.Passwords[u.Username] = u.Hash
	}
	_, s.Config, _ = maskConfig(string(w.Config))
	return s
}

// add takes over what another one has.
func (s secrets) add(more secrets) {
	maps.Copy(s.Env, more.Env)
	maps.Copy(s.Config, more.Config)
	maps.Copy(s.Passwords, more.Passwords)
}

func (s secrets) empty() bool { return len(s.Env)+len(s.Config)+len(s.Passwords) == 0 }

// secretAt tells whether the value at a path of a config is a secret.
func secretAt(path []string) bool {
	switch {
	case len(path) == 2 && (path[0] == "build_secrets" || path[0] == "env"):
		return true
	case len(path) == 2:
		return path[0] == "registry" && path[1] == "password"
	case len(path) == 3:
		return path[0] == "registries" && path[2] == "password"
	}
	return false
}

// maskConfig puts bullets where a config's secrets are, and returns those by path. Nothing else of the text is changed.
func maskConfig(text string) (masked string, held map[string]json.RawMessage, err error) {
	held = map[string]json.RawMessage{}
	masked, err = replaceSecrets(text, func(path string, value json.RawMessage) json.RawMessage {
		if string(value) != string(rawJSON(bullets)) {
			held[path] = value
		}
		return rawJSON(bullets)
	})
	return masked, held, err
}

// errSecretGone is returned where bullets stand for a secret that is not known, or not any more.
var errSecretGone = errors.New("secret is not known any more")

// unmaskConfig puts the secrets where the bullets are. It returns the path of one that is not known.
func unmaskConfig(text string, held map[string]json.RawMessage) (config, missing string, err error) {
	config, err = replaceSecrets(text, func(path string, value json.RawMessage) json.RawMessage {
		if string(value) != string(rawJSON(bullets)) {
			return value
		}
		if known, ok := held[path]; ok {
			return known
		}
		missing = path
		return value
	})
	if err == nil && missing != "" {
		err = errSecretGone
	}
	return config, missing, err
}

func replaceSecrets(text string, replace func(path string, value json.RawMessage) json.RawMessage) (string, error) {
	values, err := readJSON(text)
	if err != nil {
		return text, err
	}
	var b strings.Builder
	last := 0
	for _, v := range values {
		if secretAt(v.path) && v.start >= last {
			b.WriteString(text[last:v.start])
			b.Write(replace(pathText(v.path), json.RawMessage(text[v.start:v.end])))
			last = v.end
		}
	}
	b.WriteString(text[last:])
	return b.String(), nil
}
