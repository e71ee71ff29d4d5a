package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"

	"github.com/uptrace/bun/driver/pgdriver"
)

// ErrAway is in the error of whatever PostgreSQL did not answer: it cannot be reached, ends, or begins.
var ErrAway = errors.New("the database does not answer")

// away adds ErrAway to an error that says so.
func away(err error) error {
	_, network := errors.AsType[*net.OpError](err)
	said, ok := errors.AsType[pgdriver.Error](err)
	ends := ok && slices.Contains([]string{"57P01", "57P02", "57P03", "53300"}, said.Field('C')) // the last: too many others
	if network || ends || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

// LogDriver makes the driver of PostgreSQL log as the rest does, what it does about connections that ended as a detail. It is for the
// start of a program.
func LogDriver() { pgdriver.Logger = driverLog{} }

type driverLog struct{}

func (driverLog) Printf(ctx context.Context, format string, v ...any) {
	slog.DebugContext(ctx, fmt.Sprintf(format, v...))
}
