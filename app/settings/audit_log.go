package settings

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
)

// auditPage says who did what.
type auditPage struct {
	Kinds   []auditKind
	Kind    string
	Entries []auditRow
	Next    string // the page of older ones, "" when there are none
}

// auditKind is a choice of what is shown.
type auditKind struct{ Kind, Key string }

// auditRow is an entry in words.
type auditRow struct {
	db.AuditEntry
	What string
	Href string // of what was acted on
}

const auditShown = 100

func auditKinds() []auditKind {
	return []auditKind{{"", "audit.kind_all"}, {"workload", "audit.kind_workload"}, {"deployment", "audit.kind_deployment"}, {"forge", "audit.kind_forge"},
		{"delivery", "audit.kind_delivery"}, {"user", "audit.kind_user"}, {"session", "audit.kind_session"}, {"token", "audit.kind_token"},
		{"settings", "audit.kind_settings"}}
}

func (v *visit) auditLog() error {
	q := v.r.URL.Query()
	page := auditPage{Kinds: auditKinds(), Kind: q.Get("what")}
	before, err := strconv.ParseInt(q.Get("before"), 10, 64)
	if err != nil && q.Get("before") != "" {
		return refuse(http.StatusBadRequest, "http.400")
	}
	entries, err := v.DB.AuditEntries(v.r.Context(), page.Kind, before, auditShown+1)
	if err != nil {
		return err
	}
	if len(entries) > auditShown {
		entries = entries[:auditShown]
		next := url.Values{"before": {strconv.FormatInt(entries[auditShown-1].ID, 10)}}
		if page.Kind != "" {
			next.Set("what", page.Kind)
		}
		page.Next = "/audit?" + next.Encode()
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, auditRow{e, v.what(e), auditHref(e)})
	}
	return v.render(http.StatusOK, "audit/list", frame{Title: v.say("nav.audit")}, page)
}

// what says in words what was done; an action of another version is its code.
func (v *visit) what(e db.AuditEntry) string {
	if s, err := v.T("audit."+e.Action, "subject", e.Subject, "detail", e.Detail); err == nil {
		return s
	}
	return e.Action
}

// auditHref leads to what was acted on, where a page is known by its name or number.
func auditHref(e db.AuditEntry) string {
	switch {
	case e.Subject == "" || strings.HasSuffix(e.Action, ".deleted"):
	case e.Kind == "workload":
		return "/workloads/" + url.PathEscape(e.Subject)
	case e.Kind == "deployment" && e.Detail != "" && strings.Trim(e.Detail, "0123456789") == "":
		return "/deployments/" + e.Detail
	}
	return ""
}

// auditCSV sends all entries of a kind.
func (v *visit) auditCSV() error {
	v.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="audit.csv"`)
	w := csv.NewWriter(v.w)
	_ = w.Write([]string{"time", "who", "action", "subject", "detail", "from"})
	for before := int64(0); ; {
		entries, err := v.DB.AuditEntries(v.r.Context(), v.r.URL.Query().Get("what"), before, 1000)
		if err != nil && before == 0 {
			return err
		}
		if err != nil {
			panic(http.ErrAbortHandler) // a part of it must not look like the whole
		}
		for _, e := range entries {
			before = e.ID
			_ = w.Write([]string{e.At.Format(time.RFC3339), cell(e.Actor), cell(e.Action), cell(e.Subject), cell(e.Detail), cell(e.Address)})
		}
		if w.Flush(); w.Error() != nil || len(entries) == 0 {
			return nil // who asked may have gone
		}
	}
}

// cell keeps what somebody typed from being a formula in a spreadsheet.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
