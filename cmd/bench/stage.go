package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stage is where the contenders run.
type stage struct {
	dir       string // for all files
	self      string // this program
	tinyforge string // the program that is measured
	cert, key string // files of the others, for HTTPS
	logs      bool   // each request is written to a log, by all who can
	compress  bool   // a static site is served, compressed
	closers
}

// newStage builds Tinyforge and makes a folder, which goes when the stage is closed.
func newStage(ctx context.Context) (s *stage, err error) {
	s = &stage{}
	if s.dir, err = os.MkdirTemp("", "tinyforge-bench-"); err != nil {
		return nil, err
	}
	s.add(func() { _ = os.RemoveAll(s.dir) })
	if s.self, err = os.Executable(); err == nil {
		err = s.build(ctx)
	}
	if err == nil {
		err = s.certify()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) build(ctx context.Context) error {
	s.tinyforge = filepath.Join(s.dir, "tinyforge")
	args := []string{"build", "-trimpath", "-o", s.tinyforge}
	if profiled() {
		args = append(args, "-tags", "profile")
	}
	build := exec.CommandContext(ctx, "go", append(args, "tinyforge/cmd/tinyforge")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build tinyforge: %w\n%s", err, out)
	}
	return nil
}

// certify makes a certificate for host that nobody trusts.
func (s *stage) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if s.cert, err = s.write("cert.pem", "%s", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})); err != nil {
		return err
	}
	s.key, err = s.write("key.pem", "%s", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return err
}

// write makes a file of a configuration.
func (s *stage) write(name, format string, args ...any) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return path, nil
}

// newReport names the machine, the commit and the versions.
func newReport(ctx context.Context) (*report, error) {
	r := &report{At: time.Now(), Machine: thisMachine(), Versions: map[string]string{}}
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=7").Output()
	if err != nil {
		return nil, fmt.Errorf("name the commit: run this in the repository: %w", err)
	}
	r.Commit = strings.TrimSpace(string(out))
	for _, c := range contenders() {
		if v := c.version(); v != "" {
			r.Versions[c.name] = v
		}
	}
	maps.Copy(r.Versions, hookVersions())
	return r, nil
}
