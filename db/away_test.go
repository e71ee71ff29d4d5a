package db_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/db/migratedtest"
)

// TestAway: whatever is asked of a PostgreSQL that does not answer says so; what it refuses does not.
func TestAway(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(migratedtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	server := address.Host
	front, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan struct{})
	go func() {
		for {
			here, err := front.Accept()
			if err != nil {
				return
			}
			there, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server)
			if err != nil {
				_ = here.Close()
				continue
			}
			go func() { _, _ = io.Copy(here, there) }()
			go func() { _, _ = io.Copy(there, here) }()
			go func() { <-cut; _, _ = here.Close(), there.Close() }()
		}
	}()
	address.Host = front.Addr().String()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.Open(t.Context(), address.String(), keys)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.LivingProcesses(t.Context()); err != nil {
		t.Fatal(err)
	}
	dbtest.Exec(t, address.String(), "DROP TABLE processes")
	if _, err := store.LivingProcesses(t.Context()); err == nil || errors.Is(err, db.ErrAway) {
		t.Errorf("without a table: %v", err)
	}
	_ = front.Close()
	close(cut)
	for _, when := range []string{"cut", "not there"} {
		if _, err := store.Workloads(t.Context()); !errors.Is(err, db.ErrAway) {
			t.Errorf("%s: %v", when, err)
		}
	}
}
