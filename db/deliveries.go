package db

import "time"

// Delivery is one authentic webhook request that was recorded. (ForgeID, ExternalID) is unique.
type Delivery struct {
	ID           int64 `bun:",pk,autoincrement"`
	ForgeID      int64
	ExternalID   string // the forge's id of the delivery
	Event        string // "push", "installation"
	RepositoryID int64  `bun:",nullzero"` // 0 where it concerns no repository we know
	Ref          string
	Before       string // full hash; zeros or "" when the ref is new
	After        string // full hash; zeros when the ref was deleted
	Decision     string // what was done with it and why, in words
	ReceivedAt   time.Time
}
