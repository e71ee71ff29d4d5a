package settings

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
)

// The names under which choices are stored, and under which Config.Options has those that the process was started with.
const (
	OptionPublicURL    = "public_url"
	OptionTimeZone     = "time_zone"
	OptionNetworks     = "networks"
	OptionKeepReleases = "keep_releases"
	OptionKeepLogs     = "keep_logs" // in days
	OptionMinFree      = "min_free"  // in bytes
)

const (
	keepReleases = 3
	keepLogs     = 90
	minFree      = 1 << 30
)

// Choices are the settings of the whole Tinyforge: what the process was started with, else what somebody chose on a page,
// else the defaults. It is safe for concurrent use.
type Choices struct {
	db      *db.DB
	options map[string]string
}

// NewChoices takes the options that were given, by name: they win over what is stored, and no page changes them.
func NewChoices(d *db.DB, options map[string]string) *Choices { return &Choices{d, options} }

// Chosen is what holds at one moment.
type Chosen struct {
	PublicURL string   // at which forges and people reach this Tinyforge, without a trailing slash; "" when it is not known
	TimeZone  string   // "Europe/Moscow", "Local"
	Networks  []string // that calls to any forge may reach, as app.ParseNetworks takes them

	KeepReleases int
	KeepLogs     time.Duration
	MinFree      int64

	options map[string]string
}

// Fixed tells whether the process was started with this choice.
func (c Chosen) Fixed(name string) bool {
	_, fixed := c.options[name]
	return fixed
}

// Read reads them. What cannot be read of a value that is stored counts as if nobody had chosen.
func (c *Choices) Read(ctx context.Context) (Chosen, error) {
	values, err := c.db.Settings(ctx)
	if err != nil {
		return Chosen{}, err
	}
	for name, value := range c.options {
		values[name] = value
	}
	chosen := Chosen{PublicURL: values[OptionPublicURL], TimeZone: "Local", Networks: strings.Fields(values[OptionNetworks]), options: c.options}
	if zone := values[OptionTimeZone]; zone != "" {
		chosen.TimeZone = zone
	}
	chosen.KeepReleases = int(number(values[OptionKeepReleases], keepReleases))
	chosen.KeepLogs = time.Duration(number(values[OptionKeepLogs], keepLogs)) * 24 * time.Hour
	chosen.MinFree = number(values[OptionMinFree], minFree)
	return chosen, nil
}

// PublicURL is Chosen's.
func (c *Choices) PublicURL(ctx context.Context) (string, error) {
	chosen, err := c.Read(ctx)
	return chosen.PublicURL, err
}

func number(text string, otherwise int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return otherwise
	}
	return n
}
