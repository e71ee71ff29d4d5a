package deploy

import (
	"slices"

	"tinyforge/db"
	"tinyforge/deploy/redact"
)

// Redactor takes the secrets in the lists out of texts.
func Redactor(lists ...[]db.Secret) *redact.Redactor {
	var all []redact.Secret
	for _, s := range slices.Concat(lists...) {
		all = append(all, redact.Secret(s))
	}
	return redact.New(all...)
}

// learn adds to the secrets that are kept out of the deployment's log and error. It is not safe for concurrent use.
func (j *job) learn(secrets []db.Secret) {
	j.secrets = append(j.secrets, secrets...)
	j.redactor = Redactor(j.secrets)
	if j.log != nil {
		j.log.use(j.redactor)
	}
}

// hide takes secrets out of what a failure says.
func (j *job) hide(f *db.Fault) *db.Fault {
	if f == nil {
		return nil
	}
	return &db.Fault{Code: f.Code, Values: j.redactor.Map(f.Values)}
}
