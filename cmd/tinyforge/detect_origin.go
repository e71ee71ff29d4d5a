package main

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

// origin is the full name of the repository of which a folder is a clone, as its remote "origin" says. It is "" where git
// knows of none, and below the top of a clone: there, what is found is in no place that the repository knows.
func origin(ctx context.Context, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	if up, err := git("rev-parse", "--show-cdup"); err != nil || up != "" {
		return ""
	}
	address, err := git("remote", "get-url", "origin")
	if err != nil {
		return ""
	}
	return repositoryAt(address)
}

// repositoryAt is the full name of the repository at an address that git takes, "" for one on no other machine. Who and
// with what password is no part of it.
func repositoryAt(address string) string {
	at := ""
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		at = u.Path
	} else if host, path, ok := strings.Cut(address, ":"); ok && host != "" && !strings.Contains(host, "/") && !strings.HasPrefix(path, "//") {
		at = path // git@git.example.com:acme/site.git
	}
	name := strings.TrimSuffix(strings.Trim(at, "/"), ".git")
	if checkRepository(name) != "" {
		return ""
	}
	return name
}
