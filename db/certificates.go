package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// CertificateFile is what a proxy keeps for certificates: one of them, a private key, an account, the answer to a challenge.
type CertificateFile struct {
	ID        int64  `bun:",pk,autoincrement"`
	Name      string // "certificates/acme.example.com/www.example.com/www.example.com.key"
	Content   []byte `bun:"-"`
	Sealed    []byte // Content
	Size      int64  // of Content, in bytes
	UpdatedAt time.Time
}

const sealCertificate = "certificate_files"

// SaveCertificateFiles writes files by their Name and Content, new or not: all of them, or none.
func (d *DB) SaveCertificateFiles(ctx context.Context, files ...CertificateFile) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, f := range files {
			sealed, err := d.keys.seal(f.Content, sealCertificate)
			if err != nil {
				return err
			}
			row := CertificateFile{Name: f.Name, Sealed: sealed, Size: int64(len(f.Content)), UpdatedAt: now()}
			_, err = tx.NewInsert().Model(&row).On("CONFLICT (name) DO UPDATE").
				Set("sealed = EXCLUDED.sealed, size = EXCLUDED.size, updated_at = EXCLUDED.updated_at").Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return found("save certificate files", err)
}

// CertificateFile reads a file, or returns ErrNotFound.
func (d *DB) CertificateFile(ctx context.Context, name string) (f CertificateFile, err error) {
	if err := d.bun.NewSelect().Model(&f).Where("name = ?", name).Scan(ctx); err != nil {
		return f, found("read certificate file", err)
	}
	return f, d.keys.open(f.Sealed, &f.Content, sealCertificate)
}

// CertificateFiles returns the names of the files below a folder, by name; "" is all.
func (d *DB) CertificateFiles(ctx context.Context, folder string) (names []string, err error) {
	err = d.bun.NewSelect().Model((*CertificateFile)(nil)).Column("name").Where(below, len(folder)+1, folder+"/", folder).Order("name").Scan(ctx, &names)
	return names, found("list certificate files", err)
}

// below is met by the files of a folder: names are ASCII.
const below = "(substr(name, 1, ?) = ? OR '' = ?)"

// RemoveCertificateFiles removes a file, or a folder with all that is in it. An absent one is not an error.
func (d *DB) RemoveCertificateFiles(ctx context.Context, name string) error {
	_, err := d.bun.NewDelete().Model((*CertificateFile)(nil)).Where("name = ? OR substr(name, 1, ?) = ?", name, len(name)+1, name+"/").Exec(ctx)
	return found("remove certificate files", err)
}

// LockCertificates takes a lock by its name, or renews it, for some time, by the database's clock. It tells false while another owner
// has it.
func (d *DB) LockCertificates(ctx context.Context, name, owner string, lease time.Duration) (bool, error) {
	ok, err := d.lease(ctx, name, owner, lease)
	return ok, found("lock certificates", err)
}

// UnlockCertificates gives a lock back that owner has.
func (d *DB) UnlockCertificates(ctx context.Context, name, owner string) error {
	return found("unlock certificates", d.release(ctx, name, owner))
}
