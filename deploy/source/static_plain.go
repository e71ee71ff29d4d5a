package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/site"
)

// plainMode is mode "static": files, served by Tinyforge's own file server.
type plainMode struct{}

func (plainMode) check(c *staticConfig) Faults {
	all := only("deno", map[string]bool{
		"entrypoint":  c.Entrypoint != "",
		"serve":       c.Serve,
		"task":        c.Task != "",
		"storage":     c.Storage.Enabled,
		"permissions": c.Permissions.any(),
		"deno_image":  c.DenoImage != "",
		"env":         len(c.Env) > 0,
		"volumes":     len(c.Volumes) > 0,

		"user":         c.User != "",
		"tmpfs":        len(c.Tmpfs) > 0,
		"capabilities": len(c.Capabilities) > 0,
	})
	if c.SPA && c.NotFound != "" {
		all = append(all, Fault{"not_found", "is never shown with spa, which answers index.html instead: leave one of them out"})
	}
	return append(all, c.checkRules()...)
}

// run gives the site a healthcheck that its server answers as soon as it listens. It gets no environment: nothing reads it.
func (plainMode) run(c *staticConfig, r *db.Release) {
	r.Env = nil
	if c.Healthcheck == nil {
		r.Healthcheck = &db.Healthcheck{
			Path: site.ReadyPath, Status: 200, Interval: 100 * time.Millisecond, Timeout: 5 * time.Second, Attempts: 300,
		}
	}
}

func (plainMode) build(ctx context.Context, s *Static, c *staticConfig, st *stage) (string, error) {
	config, err := st.site(ctx, c)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write site: %w", err)
	}
	if err := st.write(site.ConfigFile, string(text)); err != nil {
		return "", err
	}
	return s.server.build(ctx, st, func(base string) (string, error) {
		dockerfile := "FROM " + base + "\n" +
			"COPY " + site.ConfigFile + " " + siteFolder + "/" + site.ConfigFile + "\n" +
			"COPY " + site.FilesFolder + " " + siteFolder + "/" + site.FilesFolder + "\n"
		if err := st.write("Dockerfile", dockerfile); err != nil {
			return "", err
		}
		spec := st.spec()
		spec.Base = base
		return s.builder.Build(ctx, spec, st.log)
	})
}

// site stages the files, and returns the site's config with the rules of its own files in it.
func (st *stage) site(ctx context.Context, c *staticConfig) (config site.Config, err error) {
	tree, err := st.copy(ctx, site.FilesFolder, site.HeadersFile, site.RedirectsFile)
	if err != nil {
		return config, err
	}
	if len(tree.Files) == 0 {
		return config, &deploy.Failure{Text: fmt.Sprintf("root: the folder %q has no files to serve at this commit", rootName(c.Root))}
	}
	headers, redirects, err := st.rules()
	if err != nil {
		return config, err
	}
	config = site.Config{
		Port: c.Port, SPA: c.SPA, NotFound: c.NotFound, Files: tree.Files,
		Redirects: append(c.redirects(), redirects...), // the first that matches wins
		Headers:   append(headers, c.headers()...),     // the last that matches wins
	}
	if _, err := site.New(config); err != nil {
		return config, badSite(err)
	}
	if _, found := tree.Files["index.html"]; !found {
		err = st.say("There is no index.html in %s: the address of the site itself answers 404, unless a rule says otherwise", rootName(c.Root))
	} else {
		err = st.say("Serving %s of %s", count(len(tree.Files), "file"), rootName(c.Root))
	}
	return config, err
}

func rootName(root string) string {
	if root == "" || root == "." {
		return "the repository"
	}
	return root
}

// rules reads the files with rules at the root of the site.
func (st *stage) rules() ([]site.HeaderRule, []site.Redirect, error) {
	headersText, err := st.read(site.HeadersFile)
	if err != nil {
		return nil, nil, err
	}
	redirectsText, err := st.read(site.RedirectsFile)
	if err != nil {
		return nil, nil, err
	}
	headers, wrong := site.ReadHeaders(headersText)
	redirects, more := site.ReadRedirects(redirectsText)
	if wrong = append(wrong, more...); len(wrong) > 0 {
		return nil, nil, badSite(wrong)
	}
	return headers, redirects, nil
}

func badSite(err error) error {
	if wrong, ok := errors.AsType[site.Faults](err); ok {
		return &deploy.Failure{Text: "The site cannot be built: " + strings.ReplaceAll(wrong.Error(), "\n", "; ")}
	}
	return err
}
