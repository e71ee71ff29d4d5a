package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestManifestFaults(t *testing.T) {
	for name, test := range map[string]struct{ manifest, want string }{
		"none":      {goodWorkload, ""},
		"empty":     {"", "file: is empty: it needs forges and workloads"},
		"comment":   {"# nothing\n", "file: is empty: it needs forges and workloads"},
		"a list":    {"- a\n", "file (line 1): must be an object with forges, workloads"},
		"a string":  {"forges", "file (line 1): must be an object with forges, workloads"},
		"documents": {"forges: []\n---\nworkloads: []\n", "file: holds more than one document: a line --- may be at its beginning only"},
		"not UTF-8": {"forges: \xff", "file: is not UTF-8 text"},
		"syntax":    {"forges: [\n", "file (line 1): is not valid YAML: sequence end token ']' not found"},
		"tab":       {"forges:\n\t- a", "file (line 2): is not valid YAML: found character '\t' that cannot start any token"},
		"top level": {"forge: []\n\"wörk\": 1\n", "forge (line 1): is not a known key: did you mean \"forges\"?\n" +
			"wörk (line 2): is not a known key: use forges, workloads"},
		"no lists": {"forges: {}\nworkloads: 1\n", "forges (line 1): must be a list, such as [{name: git, kind: gitea, url: https://git.example.com, token: env:TOKEN}]\n" +
			"workloads (line 2): must be a list, such as [{name: web, forge: git, repository: acme/site, source: dockerfile}]"},
		"entries": {"forges: [a]\nworkloads:\n- 1\n", "forges[0] (line 1): must be an object with name, kind, url, api_url, app_id, private_key, token, webhook_secret, signing_token, networks\nworkloads[0] (line 3): must be an object with name, forge, repository, source, ref, paths, host, route, enabled, env, config"},
		"twice": {"forges: []\nforges: []\nworkloads: []\n",
			"forges (line 2): is given twice, first in line 1"},
		"number as key":  {"forges: []\n1: a\n", "file (line 2): must have strings as keys: put the key in quotes"},
		"tag":            {"forges: !!seq []\n", "forges (line 1): has a tag, which is not understood: leave it out, and put strings in quotes"},
		"unknown alias":  {"forges: *a\n", `forges (line 1): refers to the anchor "a", which is not defined before it`},
		"recursive":      {"forges: &a [*a]\n", `forges[0] (line 1): refers to the anchor "a", which is not defined before it`},
		"merged nothing": {"a: &a 1\nforges: [{<<: *a}]\n", "*forges[0] (line 2): has a key \"<<\" that stands for no object"},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, test.manifest, test.want) })
	}
}

// wantFaults compares the whole list, or looks for what follows a star.
func wantFaults(t *testing.T, manifest, want string) {
	t.Helper()
	got := readFaults(t, manifest)
	if part, ok := strings.CutPrefix(want, "*"); ok && strings.Contains(got, part) {
		return
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManifestForgeFaults(t *testing.T) {
	github := "{name: hub, kind: github, app_id: 1, private_key: file:key.pem, webhook_secret: env:SECRET}"
	gitea := "{name: git, kind: gitea, url: https://git.example.com, token: env:TOKEN}"
	plain := "must be a reference, env:NAME or file:PATH: a secret has no place in this file"
	noKey := "is no RSA private key in PEM form: use the .pem file that the forge gave you, whole"
	for name, test := range map[string]struct{ from, to, want string }{
		"name":                  {"name: git", "name: Git", "name (line 3): must have 1 to 40 lower-case letters, digits and '-', and neither begin nor end with '-'"},
		"long name":             {"name: git", "name: " + strings.Repeat("a", 41), "name (line 3): must have 1 to 40 lower-case letters, digits and '-', and neither begin nor end with '-'"},
		"no name":               {"name: git, ", "", "name (line 3): is required"},
		"null name":             {"name: git", "name: null", "name (line 3): is required"},
		"number":                {"name: git", "name: 1", "name (line 3): must be a string, in quotes"},
		"same name":             {"name: git", "name: hub", "name (line 3): is the same name as forges[0].name (line 2)"},
		"kind":                  {"kind: gitea", "kind: bitbucket", `kind (line 3): "bitbucket" is not known: use forgejo, gitea, github, gitlab`},
		"no URL":                {"url: https://git.example.com, ", "", "url (line 3): is required"},
		"URL":                   {"https://git.example.com", "git.example.com", "url (line 3): must be an address such as https://git.example.com"},
		"URL user":              {"https://git", "https://a:" + secretText + "@git", "url (line 3): must not hold a user or a password"},
		"URL query":             {"git.example.com", "git.example.com?a", "url (line 3): must not have a query or a fragment"},
		"foreign key":           {"token:", "app_id: 1, token:", "app_id (line 3): means nothing to a forge of kind gitea: leave it out"},
		"foreign secret":        {"token:", "signing_token: env:TOKEN, token:", "signing_token (line 3): means nothing to a forge of kind gitea: leave it out"},
		"no token":              {", token: env:TOKEN", "", "token (line 3): is required"},
		"plain token":           {"env:TOKEN", secretText, "token (line 3): " + plain},
		"text token":            {"env:TOKEN", "text:env:" + secretText, "token (line 3): " + plain},
		"unset":                 {"env:TOKEN", "env:NONE", `token (line 3): the environment variable "NONE" is not set`},
		"no name of a variable": {"env:TOKEN", "'env:'", `token (line 3): the environment variable "" is not set`},
		"no file":               {"env:TOKEN", "file:none", `token (line 3): the file "none" cannot be read: file does not exist`},
		"empty token":           {"env:TOKEN", "env:EMPTY", "token (line 3): is empty"},
		"blank token":           {"env:TOKEN", "env:BLANK", "token (line 3): is empty"},
		"not UTF-8":             {"env:TOKEN", "env:NOT_UTF8", "token (line 3): what env:NOT_UTF8 refers to is not UTF-8 text"},
		"spaced token":          {"env:TOKEN", "env:SPACED", "token (line 3): is no token: it holds spaces, line breaks or characters beyond ASCII"},
		"hook secret":           {"token:", "webhook_secret: env:TWO_LINES, token:", "webhook_secret (line 3): must be one line of text"},
		"networks":              {"token:", "networks: [private, lan, 1], token:", `networks[1] (line 3): unknown network "lan": use "loopback", "private", or a prefix such as "10.0.0.0/8" or "fd00::/8"` + "\nforges[1].networks[2] (line 3): must be a string, in quotes"},
		"unknown key":           {"token:", "tokens: a, token:", `tokens (line 3): is not a known key: did you mean "token"?`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(gitea, test.from, test.to, 1)
			wantFaults(t, fmt.Sprintf("forges:\n- %s\n- %s\n", github, changed), "forges[1]."+test.want)
		})
	}
	for name, test := range map[string]struct{ from, to, want string }{
		"no app":       {"app_id: 1, ", "", "app_id (line 2): is required"},
		"app in words": {"app_id: 1", "app_id: '1'", "app_id (line 2): must be a whole number above 0, without quotes"},
		"app 0":        {"app_id: 1", "app_id: 0", "app_id (line 2): must be a whole number above 0, without quotes"},
		"negative app": {"app_id: 1", "app_id: -1", "app_id (line 2): must be a whole number above 0, without quotes"},
		"huge app":     {"app_id: 1", "app_id: 18446744073709551615", "app_id (line 2): must be a whole number above 0, without quotes"},
		"no secret":    {", webhook_secret: env:SECRET", "", "webhook_secret (line 2): is required"},
		"no PEM":       {"file:key.pem", "env:SECRET", "private_key (line 2): " + noKey},
		"not RSA":      {"file:key.pem", "env:EC", "private_key (line 2): " + noKey},
		"plain key":    {"file:key.pem", "-----BEGIN " + secretText, "private_key (line 2): " + plain},
		"token":        {"app_id", "token: env:TOKEN, app_id", "token (line 2): means nothing to a forge of kind github: leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(github, test.from, test.to, 1)
			wantFaults(t, fmt.Sprintf("forges:\n- %s\n", changed), "forges[0]."+test.want)
		})
	}
}

func TestManifestWorkloadFaults(t *testing.T) {
	defaults := []string{"name: web", "forge: git", "repository: acme/site", "source: dockerfile"}
	for name, test := range map[string]struct{ more, want string }{
		"name":                   {"name: -web", "name (line 5): must have 1 to 40 lower-case letters, digits and '-', and neither begin nor end with '-'"},
		"forge":                  {"forge: gut", `forge (line 5): "gut" is not known: use git, github`},
		"repository":             {"repository: site", `repository (line 5): must be an owner and a name, such as "acme/site"`},
		"address":                {"repository: https://git.example.com/acme/site", `repository (line 5): must be the name, such as "acme/site", not an address`},
		"source":                 {"source: compose", `source (line 5): "compose" is not known: use dockerfile, image`},
		"source by another name": {"source: Docker", `source (line 5): there is no source "Docker": use dockerfile`},
		"source in capitals":     {"source: Image", `source (line 5): there is no source "Image": use image`},
		"ref":                    {"ref: 'release/['", `ref (line 5): is not a valid pattern: brackets and braces must be closed, and "\" must not be last`},
		"ref space":              {"ref: a b", `ref (line 5): matches no branch or tag: use a pattern such as "main", "release/*" or "tags/v*"`},
		"paths": {"paths: [a, 'b/{', /c, '!', ../d, '!./e', 1]", `paths[1] (line 5): is not a valid pattern: brackets and braces must be closed, and "\" must not be last
workloads[0].paths[2] (line 5): matches no file: write it from the top of the repository, such as "app/**", without "/", "./" or "../" before it
workloads[0].paths[3] (line 5): is empty
workloads[0].paths[4] (line 5): matches no file: write it from the top of the repository, such as "app/**", without "/", "./" or "../" before it
workloads[0].paths[5] (line 5): matches no file: write it from the top of the repository, such as "app/**", without "/", "./" or "../" before it
workloads[0].paths[6] (line 5): must be a string, in quotes`},
		"paths in one": {"paths: app/**", `paths (line 5): must be a list, such as ["app/**"]`},
		"enabled":      {"enabled: 'no'", "enabled (line 5): must be true or false"},
		"host scheme":  {"host: https://a.example.com", `host (line 5): must be a host name alone, such as "www.example.com", without "https://" and without a path`},
		"host port":    {"host: a.example.com:80", `host (line 5): must be a host name without a port, such as "www.example.com"`},
		"host case":    {"host: A.example.com", "host (line 5): must be written in lower case"},
		"host address": {"host: 10.0.0.1", "host (line 5): must be a name, not an address"},
		"host dot":     {"host: a.example.com.", `host (line 5): is not a host name: use letters, digits, '-' and '.', such as "www.example.com"; other scripts in their xn-- form`},
		"host star":    {"host: '*.example.com'", "host (line 5): is a wildcard, which no router here takes: write each host by its name, the first as host and the others under route.hosts"},
		"env":          {"env: [a]", "env (line 5): must be an object of names and values, such as {MODE: production}"},
		"env values": {"env: {A: 1, 'B C': x, D: env:NONE, E: env:ZERO, F: null}", `env.A (line 5): must be a string, in quotes
workloads[0].env["B C"] (line 5): must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'
workloads[0].env.D (line 5): the environment variable "NONE" is not set (for the text itself write text:env:...)
workloads[0].env.E (line 5): must not contain a zero byte
workloads[0].env.F (line 5): must be a string, in quotes`},
		"config":     {"config: a", "config (line 5): must be an object, such as {port: 8080}"},
		"config key": {"config: {prot: 80}", `config.prot (line 5): is not a known key: did you mean "port"?`},
		"config value": {"config:\n      port: '80'\n      healthcheck:\n        path: up\n        interval: 5", `config.port (line 6): must be a whole number, without quotes, such as 8080
workloads[0].config.healthcheck.path (line 8): must be a path on the release, such as "/up"
workloads[0].config.healthcheck.interval (line 9): must be a duration such as "2s" or "1m30s"`},
		"config lacks":   {"config:\n      port: 80\n      healthcheck:\n        status: 200", "config.healthcheck.path (line 7): is required"},
		"config list":    {"config:\n      volumes:\n      - name: a\n        path: /a\n      - path: /b", "config.volumes[1].name (line 9): is required"},
		"config ref":     {"config: {env: {A: file:none}}", `config.env.A (line 5): the file "none" cannot be read: file does not exist (for the text itself write text:file:...)`},
		"config twice":   {"config:\n      port: 1\n      port: 2", "config.port (line 7): is given twice, first in line 6"},
		"config number":  {"config: {cpus: .inf}", "config.cpus (line 5): must be a finite number"},
		"config strange": {"config: {\"a.b\": 1}", "config[\"a.b\"] (line 5): is not a known key: use build_args, build_secrets, capabilities, constraints, context, cpus, deploy_strategy, dockerfile, env, healthcheck, log, memory, networks, port, read_only, replicas, report_commit_status, runtime, secret_files, target, tmpfs, user, volumes"},
	} {
		t.Run(name, func(t *testing.T) {
			text := goodForges + "workloads:\n  - " + test.more + "\n"
			for _, line := range defaults {
				if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(test.more, key+":") {
					text += "    " + line + "\n"
				}
			}
			wantFaults(t, text, "workloads[0]."+test.want)
		})
	}
}
