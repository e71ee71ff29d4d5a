package settings

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

const probePatience = 30 * time.Second

// probe tries a forge for all that is needed of it, and notes in the form what is missing: of the address at base_url, of the
// token at token.
func (v *visit) probe(form *templates.Form, row db.Forge, kind tokenForge) (app.Probed, *networkOffer, error) {
	row.ID = 0 // as it would be, not as it is known
	forge, err := v.Forges.OpenRow(row)
	if err != nil {
		form.Fail("base_url", "err.url")
		return app.Probed{}, nil, nil
	}
	prober, ok := forge.(app.Prober)
	if !ok {
		return app.Probed{}, nil, fmt.Errorf("probe forge: %s cannot be probed", row.Kind)
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), probePatience)
	defer cancel()
	probed, err := prober.Probe(ctx)
	if err == nil {
		return probed, nil, nil
	}
	if v.r.Context().Err() != nil {
		return probed, nil, v.r.Context().Err()
	}
	offer, ok := refused(form, "base_url", row.URL, err)
	if !ok {
		v.tellProbe(form, hostAndPort(row.URL), kind, err)
	}
	return probed, offer, nil
}

// tellProbe says what a probe found missing.
func (v *visit) tellProbe(form *templates.Form, host string, kind tokenForge, err error) {
	fault, ok := errors.AsType[*app.ProbeError](err)
	if !ok {
		fault = &app.ProbeError{Step: app.ProbeAddress, Err: err}
	}
	detail := detailOf(fault.Err)
	switch fault.Step {
	case app.ProbeKind:
		form.Fail("base_url", "err.not_forge", "host", host, "kind", kind.Title)
	case app.ProbeToken:
		if !fault.Until.IsZero() {
			form.Fail("token", "err.token_expired", "date", v.Short(fault.Until))
			return
		}
		form.Fail("token", "err.token_rejected", "host", host)
	case app.ProbeScopes:
		form.Fail("token", "err.token_scope", "missing", strings.Join(fault.Missing, ", "))
	case app.ProbeStatus:
		form.Fail("token", "err.token_status")
	case app.ProbeList:
		form.Fail("token", "err.token_list", "detail", detail)
	case app.ProbeClone:
		form.Fail("token", "err.token_clone", "detail", detail)
	default:
		form.Fail("base_url", "err.host_unreachable", "host", host, "detail", detail)
	}
}

// detailOf is what an error says behind what was done, for people.
func detailOf(err error) string {
	if status, ok := errors.AsType[*app.StatusError](err); ok {
		return fmt.Sprintf("%d %s", status.Code, http.StatusText(status.Code))
	}
	text := err.Error()
	if _, why, ok := strings.Cut(text, ": "); ok {
		text = why
	}
	return app.FirstLine(text)
}
