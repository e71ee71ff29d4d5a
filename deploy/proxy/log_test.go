package proxy

import (
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestLogCore(t *testing.T) {
	out := &lockedBuffer{}
	p := &Proxy{log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	log := zap.New(&logCore{part: part{proxy: p}}).With(zap.String("kept", "before"))

	log.Named("tls").Info("quiet")
	log.Named("tls").Warn("loud", zap.Int("n", 7), zap.String("request", "GET /?token=s3cret"))
	log.Named("http.handlers").Error("about one request")
	log.Named("admin").Warn("as configured")

	got := out.String()
	for _, want := range []string{
		"level=WARN msg=loud logger=tls", "n=7", "kept=before", `level=DEBUG msg="about one request" logger=http.handlers`,
		`level=DEBUG msg="as configured"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the log: %s", want, got)
		}
	}
	for _, unwanted := range []string{"quiet", "s3cret"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("%q is in the log: %s", unwanted, got)
		}
	}
}
