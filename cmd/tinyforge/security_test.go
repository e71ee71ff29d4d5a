package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSecurityNamesTests: each test that SECURITY.md names is there.
func TestSecurityNamesTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(text), -1) {
		missing["\nfunc "+name[1]+"("] = true
	}
	for _, part := range regexp.MustCompile("suite part `([A-Za-z0-9_]+)`").FindAllStringSubmatch(string(text), -1) {
		missing[`"`+part[1]+`":`] = true
	}
	if len(missing) < 30 {
		t.Errorf("it names %d", len(missing))
	}
	err = filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		for name := range missing {
			if strings.Contains(string(source), name) {
				delete(missing, name)
			}
		}
		return err
	})
	if err != nil || len(missing) > 0 {
		t.Errorf("there is no %q, %v", slices.Sorted(maps.Keys(missing)), err)
	}
}
