package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestGitGivesUpASilentForge: git ends when nothing comes for as long as the settings say, here a second, and why is known.
func TestGitGivesUpASilentForge(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	forge := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer forge.Close()
	home := t.TempDir()
	impatient := gitCommand{dir: home, home: home, config: [][2]string{{"http.proxy", ""}, {"http.lowSpeedTime", "1"}}}
	_, err := impatient.run(t.Context(), "ls-remote", "--", forge.URL+"/acme/site.git")
	select {
	case <-asked:
	default:
		t.Fatalf("the forge was not asked: %v", err)
	}
	if got := gitError(t.Context(), "fetch", Remote{URL: forge.URL}, err); !errors.Is(got, errNoAnswer) {
		t.Errorf("it says %v of %v", got, err)
	}
	settings := strings.Join(gitCommand{}.settings(), "\n")
	if waits := regexp.MustCompile(`GIT_CONFIG_KEY_(\d+)=http\.lowSpeedTime`).FindStringSubmatch(settings); waits == nil || !strings.Contains(settings, "GIT_CONFIG_VALUE_"+waits[1]+"=30\n") {
		t.Errorf("by default it does not wait half a minute:\n%s", settings)
	}
}
