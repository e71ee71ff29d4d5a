package app

import (
	"cmp"
	"errors"
	"net/url"
	"strings"

	"tinyforge/db"
)

// Addresses returns where the pages and the API of a forge are that is reached with an access token: the row's URL and, where
// the API is elsewhere, its APIURL, both without a trailing slash, and the API's without path, "/api/v1". It refuses a row
// that lacks the token.
func Addresses(row db.Forge, path string) (web, api string, err error) {
	web = strings.TrimRight(row.URL, "/")
	api = strings.TrimSuffix(strings.TrimRight(cmp.Or(row.APIURL, row.URL), "/"), path)
	if !ValidAddress(web) || !ValidAddress(api) {
		return "", "", errors.New("the address must look like https://HOST")
	}
	if row.Credentials.Token == "" {
		return "", "", errors.New("the access token is missing")
	}
	return web, api, nil
}

// ValidAddress tells whether a forge may be called at this address: over HTTP, and without credentials in it.
func ValidAddress(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// CallTo names the forge in what a call to it is for, "list repositories": an error that comes without an answer of the forge
// says who did not answer, and where. address is one that Addresses returned, or as good.
func CallTo(op string, row db.Forge, address string) string {
	return op + ": forge " + row.Name + " at " + strings.TrimSuffix(address, "/")
}
