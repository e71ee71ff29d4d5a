package settings

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// networksPage says which private networks forges may be in.
type networksPage struct {
	Form   *templates.Form
	Forges []db.Forge
}

func (v *visit) networksForm() error {
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return err
	}
	form := filled("networks", strings.Join(v.Networks, "\n"))
	return v.render(http.StatusOK, "settings/networks", v.settingsFrame("people.networks"), networksPage{form, forges})
}

func (v *visit) saveNetworks() error {
	form, err := v.form()
	if err != nil {
		return err
	}
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return err
	}
	var list []string
	for i, line := range strings.Split(form.Get("networks"), "\n") {
		word := strings.TrimSpace(line)
		if word == "" {
			continue
		}
		if _, err := app.ParseNetworks([]string{word}); err != nil {
			form.Fail("networks", "err.cidr", "line", i+1)
		}
		list = append(list, word)
	}
	if form.Valid() {
		if cut := v.cutOff(forges, list); len(cut) > 0 {
			form.Fail("networks", "err.networks_used", "forges", v.List(cut))
		}
	}
	if !form.Valid() {
		return v.invalid("settings/networks", v.settingsFrame("people.networks"), form, networksPage{form, forges})
	}
	if err := v.saveChoices(map[string]string{OptionNetworks: strings.Join(list, "\n")}); err != nil {
		return err
	}
	if err := v.Forges.Allow(list); err != nil {
		return err
	}
	return v.redirect("/settings/networks", templates.Message{Key: "flash.saved"})
}

// cutOff names the forges that are reached now and would not be any more with other networks.
func (v *visit) cutOff(forges []db.Forge, networks []string) (names []string) {
	ctx, cancel := context.WithTimeout(v.r.Context(), 5*time.Second)
	defer cancel()
	for _, row := range forges {
		before, _ := app.ParseNetworks(slices.Concat(row.Networks, v.Networks))
		after, _ := app.ParseNetworks(slices.Concat(row.Networks, networks))
		for _, addr := range addressesOf(ctx, row) {
			if within(before, addr) && !within(after, addr) {
				names = append(names, row.Name)
				break
			}
		}
	}
	return names
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addressesOf are the addresses of a forge, none when they cannot be found out.
func addressesOf(ctx context.Context, row db.Forge) (list []netip.Addr) {
	for _, raw := range []string{row.URL, row.APIURL} {
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			continue
		}
		found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
		for _, addr := range found {
			list = append(list, addr.Unmap())
		}
	}
	return list
}
