package deploy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

const (
	tellEnv, tellBuild, tellToken = "env/secret+value 1", "build/secret+value 2", "forge-token-value-3"
	tellAccount                   = "account-token-value-4"
)

// telltale is a source whose build says all that it knows, in pieces, and fails of it.
type telltale struct{ deploy.Source }

func (telltale) Build(ctx context.Context, in deploy.BuildInput, log io.Writer) (db.Release, error) {
	if _, err := in.RegistryAuth(ctx, "registry.example.com"); err != nil {
		return db.Release{}, err
	}
	all := tellEnv + "\n" + url.QueryEscape(tellBuild) + "\n" + base64.StdEncoding.EncodeToString([]byte("user:"+tellToken)) + "\n" + tellAccount
	for _, b := range []byte("plain words\n" + all + "\nlast words") {
		if _, err := log.Write([]byte{b}); err != nil {
			return db.Release{}, err
		}
	}
	return db.Release{}, &deploy.Failure{Text: "It said " + all, Fault: deploy.FaultOf("odd", "said", all), Err: fmt.Errorf("cause: %s", all)}
}

// teller is a registry account.
type teller struct{}

func (teller) RegistryAuth(context.Context, db.Repository, string) (*deploy.RegistryAuth, error) {
	return &deploy.RegistryAuth{Username: "u", Password: tellAccount}, nil
}

// TestSecretsStayOutOfRowsAndLog: what a build says of the secrets that it was given comes to nobody: not in the log, not in
// the error, not in the log of the process.
func TestSecretsStayOutOfRowsAndLog(t *testing.T) {
	w := newWorld(t, "dockerfile", `{"build_secrets": {"npm": "`+tellBuild+`"}}`)
	forge, err := w.db.Forge(t.Context(), w.repo.ForgeID)
	must(t, err)
	forge.Credentials.Token = tellToken
	must(t, w.db.SaveForge(t.Context(), &forge))
	w.workload.Env = map[string]string{"SECRET": tellEnv}
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	var log bytes.Buffer
	w.deployer.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.deployer.Sources["dockerfile"] = telltale{w.deployer.Sources["dockerfile"]}
	w.deployer.Accounts = teller{}

	dep := w.run(w.push("a"))
	row, err := json.Marshal(dep)
	must(t, err)
	text := w.logText(dep.ID)
	for _, want := range []string{"building: plain words\n", "building: [secret SECRET]\n", "building: [secret npm]\n", "building: last words\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no line %q:\n%s", want, text)
		}
	}
	if dep.Phase != db.PhaseFailed || !strings.HasPrefix(dep.Error, "It said [secret SECRET]") || dep.Fault == nil || dep.Fault.Values["said"] == "" {
		t.Errorf("it is %s: %q, %+v", dep.Phase, dep.Error, dep.Fault)
	}
	for _, secret := range []string{tellEnv, tellBuild, tellToken, tellAccount} {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(secret))
		for _, form := range []string{secret, url.QueryEscape(secret), encoded, base64.StdEncoding.EncodeToString([]byte("user:" + secret))[8:28]} {
			if all := string(row) + text + log.String(); strings.Contains(all, form) {
				t.Errorf("%q is in\n%s", form, all)
			}
		}
	}
}
