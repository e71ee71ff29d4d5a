package settings

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/templates"
)

// retentionPage says what is kept on disk.
type retentionPage struct {
	Form                     *templates.Form
	FixedReleases, FixedFree bool // they are options of the process
	Releases                 int64
	Floor                    int64
	Free                     int64 // 0 when it is not known
	CanTidy                  bool
}

func (v *visit) retentionPage(form *templates.Form) retentionPage {
	page := retentionPage{Form: form, FixedReleases: v.Fixed(OptionKeepReleases), FixedFree: v.Fixed(OptionMinFree),
		Releases: int64(v.KeepReleases), Floor: v.MinFree, CanTidy: v.Tidy != nil}
	if v.Health != nil {
		page.Free, _ = v.Health.Free(v.r.Context())
	}
	return page
}

func (v *visit) retentionForm() error {
	form := filled("keep_releases", strconv.Itoa(v.KeepReleases), "keep_history", strconv.Itoa(int(v.KeepLogs/(24*time.Hour))), "disk_floor", sizeText(v.MinFree))
	return v.render(http.StatusOK, "settings/retention", v.settingsFrame("people.retention"), v.retentionPage(form))
}

func (v *visit) saveRetention() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	values := map[string]string{OptionKeepLogs: checkNumber(form, "keep_history", 3650)}
	if !v.Fixed(OptionKeepReleases) {
		values[OptionKeepReleases] = checkNumber(form, "keep_releases", 50)
	}
	if !v.Fixed(OptionMinFree) {
		n, ok := parseSize(form.Get("disk_floor"))
		if !ok {
			form.Fail("disk_floor", "err.memory")
		}
		values[OptionMinFree] = strconv.FormatInt(n, 10)
	}
	if !form.Valid() {
		return v.invalid("settings/retention", v.settingsFrame("people.retention"), form, v.retentionPage(form))
	}
	if err := v.saveChoices(values); err != nil {
		return err
	}
	return v.redirect("/settings/retention", templates.Message{Key: "flash.saved"})
}

func (v *visit) tidy() error {
	if v.Tidy == nil {
		return refuse(http.StatusNotFound, "http.404")
	}
	if err := v.Tidy(v.r.Context()); err != nil {
		return err
	}
	if err := v.audit("settings.tidied", "", ""); err != nil {
		return err
	}
	return v.redirect("/settings/retention", templates.Message{Key: "flash.tidied"})
}

// checkNumber notes when a field is no whole number from 1 to most, and returns it as it is stored.
func checkNumber(form *templates.Form, field string, most int) string {
	n, err := strconv.Atoi(strings.TrimSpace(form.Get(field)))
	if err != nil || n < 1 || n > most {
		form.Fail(field, "err.number", "min", 1, "max", most)
	}
	return strconv.Itoa(n)
}

// parseSize reads "512M", "2 GB", "1.5g"; units are powers of 1024.
func parseSize(text string) (bytes int64, ok bool) {
	text = strings.ToUpper(strings.TrimSpace(text))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "B"), "I")
	factor := 1.0
	if text != "" {
		if i := strings.IndexByte("KMGT", text[len(text)-1]); i >= 0 {
			factor, text = math.Pow(1024, float64(i+1)), text[:len(text)-1]
		}
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(text), ",", "."), 64)
	if err != nil || n <= 0 || n*factor > 1<<50 || math.IsNaN(n) {
		return 0, false
	}
	return max(1, int64(n*factor)), true
}

// sizeText is a size as parseSize reads it.
func sizeText(bytes int64) string {
	for i, unit := range []string{"T", "G", "M", "K"} {
		size := int64(1) << (10 * (4 - i))
		if bytes >= size {
			return strconv.FormatFloat(math.Round(float64(bytes)/float64(size)*100)/100, 'f', -1, 64) + unit
		}
	}
	return strconv.FormatInt(bytes, 10)
}
