package main

import "strings"

// warnOfSecrets tells of secrets that stand in the file itself, in a workload's config: whoever reads the file has them.
// The secrets are no part of what it says.
func (r *manifestReader) warnOfSecrets(config *manifestNode) {
	accounts := []*manifestNode{config.get("registry")}
	for account := range config.get("registries").orEmpty().children() {
		accounts = append(accounts, account)
	}
	for secret := range config.get("build_secrets").orEmpty().children() {
		r.warnOfSecret(secret)
	}
	for _, account := range accounts {
		if password := account.orEmpty().get("password"); password != nil {
			r.warnOfSecret(password)
		}
	}
}

func (r *manifestReader) warnOfSecret(n *manifestNode) {
	text, ok := n.value.(string)
	if !ok || text == "" || strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
		return
	}
	r.warnings = append(r.warnings, n.fault("is a secret that stands in this file, for all who can read it: write env:NAME or file:PATH instead"))
}
