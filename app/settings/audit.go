package settings

import "tinyforge/db"

// audit writes down what the visitor did. Detail has names of what changed, never values.
func (v *visit) audit(action, subject, detail string) error {
	return v.DB.Audit(v.r.Context(), db.AuditEntry{Actor: v.user.Name, Action: action, Subject: subject, Detail: detail, Address: v.address()})
}
