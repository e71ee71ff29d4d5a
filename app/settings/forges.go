package settings

import (
	"net/http"
	"time"

	"tinyforge/db"
)

// forgesPage is the list of all forges.
type forgesPage struct {
	Forges   []forgeCard
	Requests []db.AppRequest // Apps that were begun and are not there yet
	May      bool            // the visitor may change forges
}

// forgeCard is a forge in the list.
type forgeCard struct {
	db.Forge
	db.ForgeSummary
	State forgeState
}

// forgeState is how a forge is; its text is forge.STATE.
type forgeState struct {
	Word  string // "connected", "waiting", "not_installed", "fault", "expires", "expired"
	Badge string // class and shape
	Days  int    // until the token expires
}

// tokenWarning is how long before its end a token is warned of.
const tokenWarning = 14 * 24 * time.Hour

func forgeStateOf(f db.Forge, installations int, now time.Time) forgeState {
	left := f.TokenUntil.Sub(now)
	switch {
	case !f.TokenUntil.IsZero() && left <= 0:
		return forgeState{Word: "expired", Badge: "failed"}
	case f.Requested && installations == 0:
		return forgeState{Word: "waiting", Badge: "queued"}
	case f.Fault != "":
		return forgeState{Word: "fault", Badge: "failed"}
	case f.AppID != 0 && installations == 0 && !f.SyncedAt.IsZero(), f.AppID != 0 && f.AppURL != "" && installations == 0:
		return forgeState{Word: "not_installed", Badge: "warn"}
	case !f.TokenUntil.IsZero() && left < tokenWarning:
		return forgeState{Word: "expires", Badge: "warn", Days: int(left/(24*time.Hour)) + 1}
	}
	return forgeState{Word: "connected", Badge: "ok"}
}

func (v *visit) forges() error {
	ctx := v.r.Context()
	rows, err := v.DB.Forges(ctx)
	if err != nil {
		return err
	}
	sums, err := v.DB.ForgeSummaries(ctx)
	if err != nil {
		return err
	}
	page := forgesPage{May: v.user.Role.May(db.Administrator)}
	for _, f := range rows {
		page.Forges = append(page.Forges, forgeCard{f, sums[f.ID], forgeStateOf(f, sums[f.ID].Installations, time.Now())})
	}
	if page.Requests, err = v.DB.AppRequests(ctx); err != nil {
		return err
	}
	return v.render(http.StatusOK, "forges/list", frame{Title: v.say("nav.forges"), Section: "forges"}, page)
}

// forgeFrame is around a page below the list of forges.
func (v *visit) forgeFrame(title string, way ...crumb) frame {
	crumbs := append([]crumb{{v.say("nav.forges"), "/forges"}}, way...)
	return frame{Title: title, Section: "forges", Crumbs: append(crumbs, crumb{Text: title})}
}

// newForge offers the kinds of forges.
func (v *visit) newForge() error {
	return v.render(http.StatusOK, "forges/new", v.forgeFrame(v.say("title.forge_new")), nil)
}
