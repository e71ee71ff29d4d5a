package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"tinyforge/app"
	"tinyforge/db"
)

// plannedForge is a forge as it is to be: of the file, or one of the database that the file only uses.
type plannedForge struct {
	at     *manifestNode // in the file; of a forge that is not there, the first place that names it
	schema forgeSchema
	row    db.Forge
	saved  *db.Forge // nil when it is new
	open   app.Forge
}

func (p *plannedForge) changed() bool {
	s := p.saved
	return s == nil || s.URL != p.row.URL || s.APIURL != p.row.APIURL || s.AppID != p.row.AppID ||
		s.Credentials != p.row.Credentials || !slices.Equal(s.Networks, p.row.Networks)
}

// secretChanged tells whether webhooks may be about that carry another secret.
func (p *plannedForge) secretChanged() bool {
	if p.saved == nil {
		return false
	}
	was, is := p.saved.Credentials, p.row.Credentials
	return was.WebhookSecret != is.WebhookSecret || was.SigningToken != is.SigningToken
}

// plannedRepository is a repository that workloads of the file use.
type plannedRepository struct {
	at    *manifestNode // where it is named first
	forge *plannedForge
	name  string
	row   db.Repository  // of the database; without an ID until it is there
	found *app.Installed // what the forge says of it; nil when it need not be asked
}

// plannedWorkload is a workload of the file.
type plannedWorkload struct {
	at         *manifestNode
	entry      *manifestWorkload // in the file
	repository *plannedRepository
	row        db.Workload
	saved      *db.Workload // nil when it is new, or is being taken down
}

func (p *plannedWorkload) changed() bool {
	s := p.saved
	return s == nil || s.RepositoryID != p.row.RepositoryID || s.Source != p.row.Source || s.RefPattern != p.row.RefPattern ||
		!slices.Equal(s.Paths, p.row.Paths) || s.Host != p.row.Host || !maps.Equal(s.Env, p.row.Env) ||
		!reflect.DeepEqual(s.Routing, p.row.Routing) || s.Enabled != p.row.Enabled || !sameJSON(s.Config, p.row.Config)
}

// runsOtherwise tells whether something changed that a deployment brings into effect.
func (p *plannedWorkload) runsOtherwise() bool {
	s := p.saved
	return s != nil && (s.RepositoryID != p.row.RepositoryID || s.Source != p.row.Source || !maps.Equal(s.Env, p.row.Env) || !sameJSON(s.Config, p.row.Config))
}

// sameJSON compares what two texts mean: the order of keys and white space do not matter, every digit does.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	decode := func(text json.RawMessage) (v any, err error) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		return v, d.Decode(&v)
	}
	x, xerr := decode(a)
	y, yerr := decode(b)
	return xerr == nil && yerr == nil && reflect.DeepEqual(x, y)
}
