package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	migrations "railyard/sql"
)

// How replicas that start at once take turns. The lock is a row with a lease, since a named lock (GET_LOCK) holds on one
// node of a cluster only.
const (
	migrateLease = 15 * time.Second
	migrateBeat  = 3 * time.Second
	migratePoll  = 100 * time.Millisecond
	migratePolls = 600
)

// migrateSQLite needs no lock: the process holds that of the file.
func migrateSQLite(ctx context.Context, dsn string) error {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	return migrate(ctx, pool, goose.DialectSQLite3, "sqlite")
}

func migrateMySQL(ctx context.Context, target *mysql.Config) error {
	cfg := target.Clone()
	cfg.ParseTime = true // goose reads its times so
	cfg.Timeout = dialTimeout
	cfg.Logger = &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg) // and no bound on a statement: a migration takes what it takes
	if err != nil {
		return err
	}
	locker, err := lock.NewMySQLTableLocker(lock.WithTableLeaseDuration(migrateLease),
		lock.WithTableHeartbeatInterval(migrateBeat), lock.WithTableLockTimeout(migratePoll, migratePolls))
	if err != nil {
		return err
	}
	return migrate(ctx, sql.OpenDB(c), goose.DialectMySQL, "mysql", goose.WithLocker(locker))
}

// migrate brings the schema up to date and closes the pool.
func migrate(ctx context.Context, pool *sql.DB, dialect goose.Dialect, dir string, options ...goose.ProviderOption) (err error) {
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := pool.PingContext(ctx); err != nil {
		return err
	}
	files, err := fs.Sub(migrations.Files, dir)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, pool, files, append(options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("%w: it is at version %d and this program knows %d: start the newer program", ErrTooNew, current, newest)
	}
	return nil
}
