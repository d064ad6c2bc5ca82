package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"railyard/internal/store/db"
)

// mysqlTarget is a MySQL or MariaDB server.
type mysqlTarget struct{ cfg *mysql.Config }

func (t mysqlTarget) String() string {
	return "mysql:" + t.cfg.User + "@" + t.cfg.Addr + "/" + t.cfg.DBName
}

// mysqlEngine is a pool of connections to a MySQL-compatible server or cluster node, shared with other replicas.
//
// Transactions are READ COMMITTED: nothing here relies on a row being locked by a SELECT (on a Galera cluster it would be
// locked on one node only) nor on a repeated read. What must not have changed is in the WHERE of an UPDATE or is a unique
// key, so two writers meet in a row, and the later one changes no row, waits, or is refused and run again. A server that
// writes its binary log must use the row or mixed format.
type mysqlEngine struct{ pool *sql.DB }

// Times of a connection. A replica that freezes in the middle of a transaction keeps its rows locked until the server
// drops the connection: that must not take longer than a lease.
const (
	dialTimeout  = 5 * time.Second
	replyTimeout = 15 * time.Second // a statement that is not answered by then has lost its connection
	idleInTx     = 3                // seconds; servers that know idle_transaction_timeout (MariaDB)
	idleAtAll    = 10               // seconds; every server
	keepIdle     = 5 * time.Second  // our side lets go before the server does
	lockWait     = 2                // seconds; then the transaction is run again
	connections  = 16
)

func (t mysqlTarget) open(ctx context.Context) (engine, error) {
	if err := migrateMySQL(ctx, t.cfg); err != nil {
		return nil, err
	}
	cfg := t.cfg.Clone()
	cfg.ParseTime = false
	cfg.ClientFoundRows = true   // an UPDATE counts the rows it found, as in SQLite
	cfg.InterpolateParams = true // one round trip for each statement
	cfg.RejectReadOnly = true    // a server that became a replica is left, not asked again
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, replyTimeout, replyTimeout
	cfg.Logger = &mysql.NopLogger{} // what it would print is returned as errors
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	inner, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	setup, err := sessionSetup(ctx, inner)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector{Connector: inner, setup: setup})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(keepIdle)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &mysqlEngine{pool: pool}, nil
}

// sessionSetup returns what every connection begins with, after asking the server what it knows.
func sessionSetup(ctx context.Context, c driver.Connector) ([]string, error) {
	pool := sql.OpenDB(c)
	defer pool.Close()
	variables := map[string]string{}
	rows, err := pool.QueryContext(ctx, "SHOW VARIABLES WHERE Variable_name IN ('wsrep_on', 'idle_transaction_timeout')")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		variables[name] = value
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	setup := []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %d", lockWait),
		fmt.Sprintf("SET SESSION wait_timeout = %d", idleAtAll),
	}
	if _, known := variables["idle_transaction_timeout"]; known {
		setup = append(setup, fmt.Sprintf("SET SESSION idle_transaction_timeout = %d", idleInTx))
	}
	if variables["wsrep_on"] == "ON" {
		// On a Galera cluster a read or BEGIN first waits until this node has what the others committed before it.
		setup = append(setup, "SET SESSION wsrep_sync_wait = 1")
	}
	return setup, nil
}

// connector prepares each new connection.
type connector struct {
	driver.Connector
	setup []string
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, query := range c.setup {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, query, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare connection by %q: %w", query, err), conn.Close())
		}
	}
	return conn, nil
}

func (e *mysqlEngine) begin(ctx context.Context, _ kind) (session, error) {
	tx, err := e.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, refused{err}
	}
	return mysqlTx{tx}, nil
}

// refused marks an error of BEGIN: the database is away, and it is the caller who knows how long to wait for it.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// mysqlTx is a transaction for writing.
type mysqlTx struct{ *sql.Tx }

func (t mysqlTx) commit() error {
	err := t.Commit()
	var answer *mysql.MySQLError
	if err == nil || errors.As(err, &answer) {
		return err // the server's own word
	}
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // never sent, because the context was done
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// rollback needs no answer: a connection that cannot roll back is closed, and the server does it.
func (t mysqlTx) rollback() { _ = t.Rollback() }

func (e *mysqlEngine) snapshot(ctx context.Context) (session, error) {
	tx, err := e.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return reading{tx}, nil
}

func (e *mysqlEngine) reader() db.DBTX { return e.pool }

func (e *mysqlEngine) alone() bool { return false }

func (e *mysqlEngine) ping(ctx context.Context) error { return e.pool.PingContext(ctx) }

func (e *mysqlEngine) close() error { return e.pool.Close() }

// Answers of the server by number.
const (
	codeDuplicate = 1062 // a unique key
)

var codesAgain = []uint16{
	1213, // deadlock; on Galera also a commit that lost its certification
	1205, // waited too long for a lock
	1020, // the row changed since the snapshot was taken
	1047, // the Galera node is not ready for queries
}

func (e *mysqlEngine) again(err error) bool {
	if errors.As(err, &refused{}) || errors.Is(err, ErrUnknownOutcome) {
		return false
	}
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return slices.Contains(codesAgain, answer.Number)
	}
	// The connection broke before COMMIT: nothing was written.
	return errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn)
}

func (e *mysqlEngine) unique(err error) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && answer.Number == codeDuplicate
}
