package settings

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// generalPage is the first page of the settings: what is somebody's own and, for administrators, what is everybody's.
type generalPage struct {
	Form       *templates.Form
	Everything bool
	Fixed      bool // the address is an option of the process
	PublicURL  string
	Zones      []string
	Hooks      []hookRow
}

// hookRow is where a forge is to deliver, and whether Tinyforge sees to it.
type hookRow struct {
	Forge, URL string
	Kept       bool
}

func (v *visit) generalPage(form *templates.Form) (generalPage, error) {
	page := generalPage{Form: form, Everything: v.user.Role.May(db.Administrator), Fixed: v.Fixed(OptionPublicURL), PublicURL: v.PublicURL, Zones: zones()}
	if !page.Everything || v.PublicURL == "" {
		return page, nil
	}
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return page, err
	}
	for _, row := range forges {
		forge, _ := v.Forges.OpenRow(row)
		_, kept := forge.(app.Hooker)
		page.Hooks = append(page.Hooks, hookRow{row.Name, app.HookURL(v.PublicURL, row.Name), kept})
	}
	return page, nil
}

func (v *visit) generalForm() error {
	page, err := v.generalPage(filled("language", v.Language(), "time_zone", v.TimeZone, "base_url", v.PublicURL))
	if err != nil {
		return err
	}
	f := v.settingsFrame("people.general")
	if page.Everything {
		f.Notices = addressNotes(v.PublicURL)
	}
	return v.render(http.StatusOK, "settings/general", f, page)
}

func (v *visit) saveGeneral() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if !isLanguage(form.Get("language")) {
		form.Fail("language", "err.choose")
	}
	values, err := v.checkEverybodys(form)
	if err != nil {
		return err
	}
	if !form.Valid() {
		page, err := v.generalPage(form)
		if err != nil {
			return err
		}
		return v.invalid("settings/general", v.settingsFrame("people.general"), form, page)
	}
	if err := v.DB.SetLanguage(v.r.Context(), v.user.ID, form.Get("language")); err != nil {
		return err
	}
	v.setLanguageCookie(form.Get("language"))
	if err := v.saveChoices(values); err != nil {
		return err
	}
	return v.redirect("/settings", templates.Message{Key: "flash.saved"})
}

// checkEverybodys checks what only administrators may change, and returns what is to be stored of it.
func (v *visit) checkEverybodys(form *templates.Form) (map[string]string, error) {
	if !v.user.Role.May(db.Administrator) {
		return nil, nil
	}
	values := map[string]string{OptionTimeZone: strings.TrimSpace(form.Get("time_zone"))}
	if zone, err := time.LoadLocation(values[OptionTimeZone]); err != nil || values[OptionTimeZone] == "" {
		form.Fail("time_zone", "err.time_zone")
	} else {
		values[OptionTimeZone] = zone.String()
	}
	if v.Fixed(OptionPublicURL) {
		return values, nil
	}
	var err error
	values[OptionPublicURL], err = v.checkPublicURL(form, "base_url")
	return values, err
}

// checkPublicURL is checkAddress for the address of this Tinyforge: no workload may have its host.
func (v *visit) checkPublicURL(form *templates.Form, field string) (string, error) {
	address := checkAddress(form, field)
	if form.Error(field) != nil {
		return address, nil
	}
	workload, err := v.DB.WorkloadOfHost(v.r.Context(), hostOf(address))
	if err == nil && workload != "" {
		form.Fail(field, "err.domain_taken", "domain", hostOf(address), "name", workload)
	}
	return address, err
}

// saveChoices stores what has changed, and writes down which.
func (v *visit) saveChoices(values map[string]string) error {
	stored, err := v.DB.Settings(v.r.Context())
	if err != nil {
		return err
	}
	var changed []string
	for name, value := range values {
		if stored[name] == value {
			delete(values, name)
			continue
		}
		changed = append(changed, name)
	}
	if len(changed) == 0 {
		return nil
	}
	if err := v.DB.SetSettings(v.r.Context(), values); err != nil {
		return err
	}
	slices.Sort(changed)
	return v.audit("settings.saved", "", strings.Join(changed, ", "))
}

// zones are suggestions; any zone of the IANA database is taken.
func zones() []string {
	return []string{"Local", "UTC", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "America/Argentina/Buenos_Aires", "America/Chicago",
		"America/Denver", "America/Los_Angeles", "America/Mexico_City", "America/New_York", "America/Sao_Paulo", "America/Toronto",
		"Asia/Almaty", "Asia/Bangkok", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Irkutsk", "Asia/Jakarta", "Asia/Jerusalem", "Asia/Kamchatka",
		"Asia/Kolkata", "Asia/Krasnoyarsk", "Asia/Magadan", "Asia/Novosibirsk", "Asia/Omsk", "Asia/Seoul", "Asia/Shanghai", "Asia/Singapore",
		"Asia/Tashkent", "Asia/Tbilisi", "Asia/Tokyo", "Asia/Vladivostok", "Asia/Yakutsk", "Asia/Yekaterinburg", "Asia/Yerevan",
		"Australia/Perth", "Australia/Sydney", "Europe/Amsterdam", "Europe/Athens", "Europe/Belgrade", "Europe/Berlin", "Europe/Helsinki",
		"Europe/Istanbul", "Europe/Kaliningrad", "Europe/Kyiv", "Europe/Lisbon", "Europe/London", "Europe/Madrid", "Europe/Minsk",
		"Europe/Moscow", "Europe/Paris", "Europe/Prague", "Europe/Rome", "Europe/Samara", "Europe/Stockholm", "Europe/Vienna",
		"Europe/Warsaw", "Europe/Zurich", "Pacific/Auckland"}
}
