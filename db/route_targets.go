package db

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"

	"github.com/uptrace/bun"
)

// ErrMoved is returned by ChangeRoute when somebody else has changed the route.
var ErrMoved = errors.New("somebody else has moved the route")

// RouteTarget is where a host leads, for all proxies that are fed from the rows. Versions count the changes of all routes: who sees
// one sees every smaller one.
type RouteTarget struct {
	Route    Route
	Upstream string // as JSON; what is in it belongs to deploy
	Held     bool   // new requests wait
	Deleted  bool   // the row is there so that every process takes its route away
	Version  int64
}

// routeTarget is its row. Sealed, since passwords' hashes are in it.
type routeTarget struct {
	bun.BaseModel `bun:"table:route_targets"`

	Host    string `bun:",pk"`
	Sealed  []byte
	Held    bool
	Deleted bool
	Version int64
}

// routeVersion is the single row that counts. Who has changed it keeps others from it until the end of its transaction.
type routeVersion struct {
	bun.BaseModel `bun:"table:route_versions"`

	ID      int64 `bun:",pk"`
	Version int64
}

type sealedTarget struct {
	Route    Route  `json:"route"`
	Upstream string `json:"upstream,omitempty"`
}

const sealRouteTarget = "route_targets"

// Guard says under which condition ChangeRoute may change.
type Guard struct {
	Since        int64  // ErrMoved where the route has a later version; 0 is any
	DeploymentID int64  // ErrLeaseLost unless the deployment is still under this lease; 0 is none
	LeaseOwner   string // see Deployment
}

// RouteVersion is that of the last change of any route.
func (d *DB) RouteVersion(ctx context.Context) (int64, error) {
	v := routeVersion{ID: 1}
	err := d.bun.NewSelect().Model(&v).WherePK().Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return v.Version, found("read route version", err)
}

// RouteTarget returns where a host leads, or ErrNotFound. What was deleted is not found.
func (d *DB) RouteTarget(ctx context.Context, host string) (RouteTarget, error) {
	var row routeTarget
	if err := d.bun.NewSelect().Model(&row).Where("host = ? AND NOT deleted", host).Scan(ctx); err != nil {
		return RouteTarget{}, found("read route "+host, err)
	}
	return row.open(d.keys)
}

// RouteTargets returns what was changed after a version, in the order of the changes; 0 is everything. Several changes of one host
// are the last one.
func (d *DB) RouteTargets(ctx context.Context, after int64) ([]RouteTarget, error) {
	var rows []routeTarget
	if err := d.bun.NewSelect().Model(&rows).Where("version > ?", after).Order("version").Scan(ctx); err != nil {
		return nil, found("read routes", err)
	}
	list := make([]RouteTarget, 0, len(rows))
	for _, row := range rows {
		t, err := row.open(d.keys)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// ChangeRoute makes of a host's target what change returns, or leaves it when that says false. Change gets a zero one, Deleted,
// where there is none; it may be called twice. ChangeRoute returns the version under which all that it found or wrote is to be seen.
// One after the other: nobody else changes a route meanwhile.
func (d *DB) ChangeRoute(ctx context.Context, host string, g Guard, change func(RouteTarget) (RouteTarget, bool)) (version int64, err error) {
	changed := false
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		changed = false
		if err := g.check(ctx, d, tx); err != nil {
			return err
		}
		next, err := nextVersion(ctx, tx)
		if err != nil {
			return err
		}
		was, err := d.targetIn(ctx, tx, host)
		if err != nil {
			return err
		}
		if version = was.Version; g.Since > 0 && was.Version > g.Since {
			return ErrMoved
		}
		is, ok := change(was)
		if !ok {
			return nil
		}
		is.Version, version, changed = next, next, true
		return saveTarget(ctx, tx, d.keys, host, is)
	})
	if err != nil {
		return 0, found("change route "+host, err)
	}
	if changed {
		d.notify(ctx, TopicRoutes)
	}
	return version, nil
}

// check keeps a deployment's lease from passing on until the transaction ends.
func (g Guard) check(ctx context.Context, d *DB, tx bun.Tx) error {
	if g.DeploymentID == 0 {
		return nil
	}
	q := tx.NewSelect().Model((*Deployment)(nil)).Column("id").Where("id = ? AND lease_owner = ? AND lease_owner <> ''", g.DeploymentID, g.LeaseOwner)
	err := d.forUpdate(q).Scan(ctx, new(int64))
	if errors.Is(err, sql.ErrNoRows) {
		return ErrLeaseLost
	}
	return err
}

func nextVersion(ctx context.Context, tx bun.Tx) (next int64, err error) {
	err = tx.NewRaw("INSERT INTO route_versions AS v (id, version) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET version = v.version + 1 RETURNING version").Scan(ctx, &next)
	return next, err
}

func (d *DB) targetIn(ctx context.Context, tx bun.Tx, host string) (RouteTarget, error) {
	var row routeTarget
	err := tx.NewSelect().Model(&row).Where("host = ?", host).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return RouteTarget{Route: Route{Host: host}, Deleted: true}, nil
	} else if err != nil {
		return RouteTarget{}, err
	}
	return row.open(d.keys)
}

func saveTarget(ctx context.Context, tx bun.Tx, keys *Keyring, host string, t RouteTarget) (err error) {
	row := routeTarget{Host: host, Held: t.Held, Deleted: t.Deleted, Version: t.Version}
	if row.Sealed, err = keys.seal(sealedTarget{t.Route, t.Upstream}, sealRouteTarget); err != nil {
		return err
	}
	_, err = tx.NewInsert().Model(&row).On("CONFLICT (host) DO UPDATE").
		Set("sealed = EXCLUDED.sealed, held = EXCLUDED.held, deleted = EXCLUDED.deleted, version = EXCLUDED.version").Exec(ctx)
	return err
}

func (row routeTarget) open(keys *Keyring) (RouteTarget, error) {
	var s sealedTarget
	err := keys.open(row.Sealed, &s, sealRouteTarget)
	return RouteTarget{s.Route, s.Upstream, row.Held, row.Deleted, row.Version}, err
}

// Unconfirmed tells which processes have to take changes up to a version still, but for one: those that live and serve.
func (d *DB) Unconfirmed(ctx context.Context, version int64, but string) (ids []string, err error) {
	err = d.living(d.bun.NewSelect().Model((*Process)(nil)).Column("id")).
		Where("serving AND applied < ? AND id <> ?", version, but).Order("id").Scan(ctx, &ids)
	return ids, found("read processes", err)
}

// Confirmed is up to which version all processes but one have taken all changes: those that live and serve. It is the largest number
// where there is none.
func (d *DB) Confirmed(ctx context.Context, but string) (version int64, err error) {
	err = d.living(d.bun.NewSelect().Model((*Process)(nil)).ColumnExpr("COALESCE(min(applied), ?)", int64(math.MaxInt64))).
		Where("serving AND id <> ?", but).Scan(ctx, &version)
	return version, found("read processes", err)
}

// SameAs tells whether two targets are served alike, whatever their versions.
func (t RouteTarget) SameAs(other RouteTarget) bool {
	return t.Held == other.Held && t.Deleted == other.Deleted && t.Upstream == other.Upstream && t.Route.SameAs(other.Route)
}

// SameAs tells whether two routes are of one workload and host and served alike.
func (r Route) SameAs(other Route) bool {
	return r.WorkloadID == other.WorkloadID && r.Host == other.Host && r.RedirectTo == other.RedirectTo &&
		r.StripPrefix == other.StripPrefix && r.MaxBody == other.MaxBody && r.Timeout == other.Timeout &&
		slices.Equal(r.Paths, other.Paths) && slices.Equal(r.BasicAuth, other.BasicAuth)
}
