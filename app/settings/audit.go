package settings

import (
	"context"
	"time"

	"tinyforge/db"
)

// auditPatience is how long an entry may take to be written.
const auditPatience = 10 * time.Second

// audit writes down what the visitor did, also when they have left by now. Detail has names of what changed, never values.
func (v *visit) audit(action, subject, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), auditPatience)
	defer cancel()
	return v.DB.Audit(ctx, db.AuditEntry{Actor: v.user.Name, Action: action, Subject: subject, Detail: detail, Address: v.address()})
}
