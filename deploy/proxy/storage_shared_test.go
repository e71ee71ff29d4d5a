package proxy

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

// openStorages opens one database as several processes do.
func openStorages(t *testing.T, n int) (all []*db.DB) {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	address := migratedtest.Postgres(t)
	for range n {
		store, err := db.Open(t.Context(), address, keys)
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		all = append(all, store)
	}
	return all
}

// TestSharedCertificate: what one proxy has ordered another one serves, which has a folder of its own and orders nothing.
func TestSharedCertificate(t *testing.T) {
	ca := newTestCA(t, "http-01")
	for _, store := range openStorages(t, 2) {
		p := newTestProxy(t, Config{HTTPS: "127.0.0.1:0", ACME: ACME{CA: ca.url + "/dir"}, Storage: store})
		ca.proxy.Store(p)
		p.run(t)
		must(t, p.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: "www.example.com"}, echoName(t, "a")))
		client := p.tlsClient(t)
		client.Transport.(*http.Transport).TLSClientConfig.RootCAs = ca.roots
		res, err := client.Get("https://www.example.com/")
		if err != nil {
			t.Fatalf("%v; log: %s", err, p.logged)
		}
		must(t, res.Body.Close())
		if left, err := os.ReadDir(p.cfg.DataDir); err != nil || len(left) > 0 {
			t.Errorf("in its folder are %v, %v", left, err)
		}
		p.cancel()
		must(t, p.wait(t))
	}
	if n := ca.orders.Load(); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

// TestCertificatesOfBefore: a proxy that begins to share brings its own along, and the root is where it was.
func TestCertificatesOfBefore(t *testing.T) {
	store := openStorages(t, 1)[0]
	var roots [][]byte
	folder := ""
	for _, storage := range []Storage{nil, store, store} {
		p := newTestProxy(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true, Storage: storage})
		if folder != "" && len(roots) == 1 { // the same process as before
			must(t, os.CopyFS(p.cfg.DataDir, os.DirFS(folder)))
		}
		folder = p.cfg.DataDir
		p.run(t)
		root, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(rootName)))
		must(t, err)
		roots = append(roots, root)
		p.cancel()
		must(t, p.wait(t))
	}
	if !slices.Equal(roots[0], roots[1]) || !slices.Equal(roots[1], roots[2]) {
		t.Error("the roots differ")
	}
}

// TestCertificatesOfBeforeAtOnce: a process that ends while it brings them along leaves the storage empty, and the next one brings all.
func TestCertificatesOfBeforeAtOnce(t *testing.T) {
	t.Parallel()
	s := newSharedStorage(openStorages(t, 1)[0])
	folder := &certmagic.FileStorage{Path: t.TempDir()}
	for _, name := range []string{"certificates/ca/a.crt", rootName} {
		must(t, folder.Store(t.Context(), name, []byte(name)))
	}
	broken := folder.Filename("pki/authorities/local/root.key")
	must(t, os.Symlink("nowhere", broken))
	if err := s.adopt(t.Context(), folder); err == nil {
		t.Error("what cannot be read was brought along")
	}
	if names, err := s.CertificateFiles(t.Context(), ""); err != nil || len(names) > 0 {
		t.Errorf("half of it is there: %q, %v", names, err)
	}
	must(t, os.Remove(broken))
	must(t, s.adopt(t.Context(), folder))
	if names, err := s.CertificateFiles(t.Context(), ""); err != nil || len(names) != 2 {
		t.Errorf("there are %q, %v", names, err)
	}
}

func TestSharedStorage(t *testing.T) {
	t.Parallel()
	stores := openStorages(t, 2)
	a, b := newSharedStorage(stores[0]), newSharedStorage(stores[1])
	must(t, a.Store(t.Context(), "acme/ca/users/u.json", []byte("u")))
	must(t, a.Store(t.Context(), "acme/ca/x.key", []byte("x")))
	if text, err := b.Load(t.Context(), "acme/ca/x.key"); err != nil || string(text) != "x" {
		t.Errorf("loaded %q, %v", text, err)
	}
	for _, test := range []struct {
		folder    string
		recursive bool
		want      []string
	}{
		{"acme", false, []string{"acme/ca"}}, {"acme/ca", false, []string{"acme/ca/users", "acme/ca/x.key"}},
		{"", true, []string{"acme/ca/users/u.json", "acme/ca/x.key"}},
	} {
		if got, err := b.List(t.Context(), test.folder, test.recursive); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("in %q are %q, %v", test.folder, got, err)
		}
	}
	if info, err := b.Stat(t.Context(), "acme/ca"); err != nil || info.IsTerminal {
		t.Errorf("the folder is %+v, %v", info, err)
	}
	must(t, b.Delete(t.Context(), "acme"))
	_, errLoad := a.Load(t.Context(), "acme/ca/x.key")
	_, errList := a.List(t.Context(), "acme", true)
	if a.Exists(t.Context(), "acme") || !errors.Is(errLoad, fs.ErrNotExist) || !errors.Is(errList, fs.ErrNotExist) {
		t.Errorf("deleted: %v, %v", errLoad, errList)
	}
}

// TestSharedLock: one at a time, and who gives up waiting has nothing.
func TestSharedLock(t *testing.T) {
	t.Parallel()
	stores := openStorages(t, 2)
	a, b := newSharedStorage(stores[0]), newSharedStorage(stores[1])
	must(t, a.Lock(t.Context(), "order"))
	short, cancel := context.WithTimeout(t.Context(), 3*lockTry)
	defer cancel()
	if err := b.Lock(short, "order"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it got what the other has: %v", err)
	}
	if err := b.Unlock(t.Context(), "order"); err == nil {
		t.Error("it gave back what it has not")
	}
	got := make(chan error, 1)
	go func() { got <- b.Lock(context.Background(), "order") }()
	must(t, a.Unlock(t.Context(), "order"))
	select {
	case err := <-got:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("it never got it")
	}
	must(t, b.Unlock(t.Context(), "order"))
}
