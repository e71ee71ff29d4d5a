package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"tinyforge/deploy/source"
)

// detect is the command of that name: it prints what in a checkout can be deployed, best first.
func detect(ctx context.Context, in invocation) error {
	if err := in.asksHelp(); err != nil {
		return err
	}
	dir := "."
	switch len(in.given) {
	case 0:
	case 1:
		dir = in.given[0]
	default:
		return errors.New("detect takes one folder: tinyforge detect [DIR]")
	}
	return printFound(ctx, dir, in.out)
}

// placeholder is for a repository whose name is not known.
const placeholder = "OWNER/NAME"

func printFound(ctx context.Context, dir string, out io.Writer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("detect: %w", err)
	}
	defer root.Close()
	found, err := source.Detect(root.FS())
	if err != nil {
		return fmt.Errorf("detect: %w", err)
	}
	if len(found) == 0 {
		fmt.Fprintln(out, "Nothing was found that can be built: no Compose file, no Dockerfile, no Deno program and no index.html, here or one\n"+
			"folder down. An image that is built elsewhere can be deployed with the source image.")
		return nil
	}
	repository := cmp.Or(origin(ctx, dir), placeholder)
	fmt.Fprintln(out, "workloads:")
	printed := map[string]bool{}
	for _, c := range found {
		var entry strings.Builder
		name := workloadName(dir, c.Folder)
		if err := printCandidate(&entry, c, name, repository); err != nil {
			return err
		}
		indent := "  "
		if printed[name] { // one of them is wanted
			fmt.Fprintln(out, "  # or, instead of the one above:")
			indent = "  # "
		}
		printed[name] = true
		for line := range strings.Lines(entry.String()) {
			fmt.Fprint(out, indent, line)
		}
	}
	return nil
}

// printCandidate writes the evidence as comments, so that the whole can be pasted below "workloads:".
func printCandidate(out io.Writer, c source.Candidate, name, repository string) error {
	for _, text := range c.Evidence {
		fmt.Fprintf(out, "# %s\n", text)
	}
	config, err := yaml.JSONToYAML(c.Config)
	if err != nil {
		return fmt.Errorf("detect: %w", err)
	}
	fmt.Fprintf(out, "- name: %s\n  forge: FORGE\n  repository: %s\n  source: %s\n  host: %s.example.com\n", name, repository, c.Source, name)
	if !bytes.Equal(c.Config, json.RawMessage("{}")) {
		fmt.Fprintf(out, "  config:\n    %s\n", strings.ReplaceAll(strings.TrimSpace(string(config)), "\n", "\n    "))
	}
	return nil
}

// workloadName makes a name that a workload can have of a folder's.
func workloadName(dir, folder string) string {
	at, err := filepath.Abs(filepath.Join(dir, folder))
	if err != nil {
		return "site"
	}
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(at)))
	name = strings.Trim(name[:min(len(name), 40)], "-")
	if name == "" {
		return "site"
	}
	return name
}
