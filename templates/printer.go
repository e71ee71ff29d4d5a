package templates

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Printer writes texts, times and numbers in one language and time zone. It is safe for concurrent use.
type Printer struct {
	catalog *catalog
	zone    *time.Location
	now     func() time.Time
}

// Language is the printer's: "en", "ru".
func (p *Printer) Language() string { return p.catalog.language }

// Has tells whether there is a text by this key.
func (p *Printer) Has(key string) bool {
	_, ok := p.catalog.texts[key]
	return ok
}

// T returns the text of a key, its placeholders filled: name, value, name, value. An unknown key or a placeholder without a
// value is an error.
func (p *Printer) T(key string, values ...any) (string, error) {
	s, err := p.catalog.plain(key)
	if err != nil {
		return "", err
	}
	return fill(s, values)
}

// N is T for a text with plural forms; {n} is the count.
func (p *Printer) N(key string, n int, values ...any) (string, error) {
	s, err := p.catalog.form(key, n)
	if err != nil {
		return "", err
	}
	return fill(s, append(values, "n", p.Number(int64(n))))
}

// Forms returns the plural forms of a text by their names, for a script that counts.
func (p *Printer) Forms(key string) (string, error) {
	forms, err := json.Marshal(p.catalog.texts[key].forms)
	return string(forms), err
}

// must is for texts of the printer's own.
func must(s string, err error) string {
	if err != nil {
		return "?"
	}
	return s
}

// Number writes a whole number with its thousands apart: "1,354", "1 354".
func (p *Printer) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign, digits := cutSign(digits)
	var b strings.Builder
	for i, d := range digits {
		if left := len(digits) - i; i > 0 && left%3 == 0 {
			b.WriteString(must(p.T("number.thousands")))
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

func cutSign(digits string) (sign, rest string) {
	if strings.HasPrefix(digits, "-") {
		return "-", digits[1:]
	}
	return "", digits
}

// decimal writes a number with one digit after the point, which Russian writes as a comma.
func (p *Printer) decimal(f float64) string {
	return strings.Replace(strconv.FormatFloat(f, 'f', 1, 64), ".", must(p.T("number.point")), 1)
}

// Size writes bytes: "12.4 MB".
func (p *Printer) Size(bytes int64) string {
	if bytes < 1000 {
		return must(p.T("size.b", "n", bytes))
	}
	f := float64(bytes)
	unit := 0
	for f >= 999.95 && unit < 4 {
		f, unit = f/1000, unit+1
	}
	return must(p.T([]string{"size.b", "size.kb", "size.mb", "size.gb", "size.tb"}[unit], "n", p.decimal(f)))
}

// Duration writes a time span with one or two units: "340 ms", "4.1 s", "1 min 12 s".
func (p *Printer) Duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return must(p.T("time.ms", "n", d.Milliseconds()))
	case d < 10*time.Second:
		return must(p.T("time.s", "n", p.decimal(d.Seconds())))
	case d < time.Minute:
		return must(p.T("time.s", "n", int(d.Seconds())))
	case d < time.Hour:
		return must(p.T("time.min_s", "m", int(d.Minutes()), "s", int(d.Seconds())%60))
	case d < 24*time.Hour:
		return must(p.T("time.h_min", "h", int(d.Hours()), "m", int(d.Minutes())%60))
	}
	return must(p.T("time.d_h", "d", int(d.Hours())/24, "h", int(d.Hours())%24))
}

// Ago writes how long ago a time was: "3 minutes ago", "just now". A time to come is "just now", or "in 5 minutes".
func (p *Printer) Ago(t time.Time) string {
	d := p.now().Sub(t)
	if minutes := int(-d/time.Minute) + 1; d < -time.Minute {
		return must(p.N("n.in_minutes", minutes))
	}
	for _, unit := range []struct {
		key  string
		span time.Duration
		end  time.Duration
	}{
		{"n.minutes_ago", time.Minute, time.Hour}, {"n.hours_ago", time.Hour, 24 * time.Hour},
		{"n.days_ago", 24 * time.Hour, 30 * 24 * time.Hour}, {"n.months_ago", 30 * 24 * time.Hour, 365 * 24 * time.Hour},
		{"n.years_ago", 365 * 24 * time.Hour, 1 << 62},
	} {
		if d >= unit.span && d < unit.end {
			return must(p.N(unit.key, int(d/unit.span)))
		}
	}
	return must(p.T("time.now"))
}

// Short writes a time: "23 Nov 2026, 09:04".
func (p *Printer) Short(t time.Time) string {
	t = t.In(p.zone)
	return must(p.T("time.short", "day", t.Day(), "month", p.month("short", t), "year", t.Year(), "time", t.Format("15:04")))
}

// Clock writes the time of the day: "09:04:11".
func (p *Printer) Clock(t time.Time) string { return t.In(p.zone).Format("15:04:05") }

// Exact writes a time to the second with its zone: "23 November 2026, 09:04:11 UTC+3".
func (p *Printer) Exact(t time.Time) string {
	t = t.In(p.zone)
	return must(p.T("time.exact", "day", t.Day(), "month", p.month("long", t), "year", t.Year(), "time", t.Format("15:04:05"), "zone", zoneName(t)))
}

func (p *Printer) month(length string, t time.Time) string {
	return must(p.T("month." + length + "." + strconv.Itoa(int(t.Month()))))
}

// Zone names the printer's time zone: "UTC+3".
func (p *Printer) Zone() string { return zoneName(p.now().In(p.zone)) }

func zoneName(t time.Time) string {
	_, seconds := t.Zone()
	hours, minutes := seconds/3600, seconds%3600/60
	switch {
	case seconds == 0:
		return "UTC"
	case minutes == 0:
		return fmt.Sprintf("UTC%+d", hours)
	}
	return fmt.Sprintf("UTC%+d:%02d", hours, max(minutes, -minutes))
}

// List joins words as a sentence does: "a, b and c".
func (p *Printer) List(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return must(p.T("list.and", "first", strings.Join(words[:n-1], ", "), "last", words[n-1]))
	}
}
