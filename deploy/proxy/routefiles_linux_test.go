package proxy

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
)

// TestReplacedFilesAreLetGo: what a change replaces is closed in the end, so that its space is free again.
func TestReplacedFilesAreLetGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "routes")
	tb, err := openTable(Config{Routes: dir}, slog.New(slog.DiscardHandler))
	must(t, err)
	for i := range 20 {
		must(t, tb.Upsert(t.Context(), db.Route{Host: "a.test"}, up(fmt.Sprintf("tf-web-%d", i))))
	}
	waitFor(t, func() bool {
		open, err := filepath.Glob("/proc/self/fd/*")
		must(t, err)
		for _, fd := range open {
			if file, _ := os.Readlink(fd); strings.HasPrefix(file, dir+"/") {
				return false
			}
		}
		return true
	})
}
