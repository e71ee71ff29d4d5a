package source

import (
	"time"

	"tinyforge/db"
)

// healthcheck is the config of the HTTP probe that gates a release.
type healthcheck struct {
	Path        string        `json:"path" validate:"required,max=2048,urlpath"`
	Status      int           `json:"status" example:"200" validate:"omitempty,min=100,max=599"` // 0 means 200 to 399
	Interval    time.Duration `json:"interval" validate:"min=100ms,max=10m"`
	Timeout     time.Duration `json:"timeout" validate:"min=100ms,max=10m"`
	Attempts    int           `json:"attempts" example:"30" validate:"min=1,max=10000"`
	StartPeriod time.Duration `json:"start_period" validate:"min=0s,max=1h"`
}

func (h *healthcheck) setDefaults() {
	h.Interval = time.Second
	h.Timeout = 5 * time.Second
	h.Attempts = 30
}

func (h *healthcheck) release() *db.Healthcheck {
	if h == nil {
		return nil
	}
	return &db.Healthcheck{
		Path:        h.Path,
		Status:      h.Status,
		Interval:    h.Interval,
		Timeout:     h.Timeout,
		Attempts:    h.Attempts,
		StartPeriod: h.StartPeriod,
	}
}
