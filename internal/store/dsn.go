package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// target is where a database is. Its String names no password.
type target interface {
	fmt.Stringer
	open(ctx context.Context) (engine, error)
}

var errDSN = errors.New(`expected "sqlite:/path/to/railyard.db", "mysql://user:password@host:3306/railyard" or "user:password@tcp(host:3306)/railyard"`)

// parseDSN reads the address of a database. Its errors repeat no part of it, since a password may be inside.
func parseDSN(dsn string) (target, error) {
	scheme, rest, _ := strings.Cut(dsn, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		path, err := filepath.Abs(rest)
		if err != nil {
			return nil, fmt.Errorf("read database address: %w", err)
		}
		return sqliteTarget{path: path}, nil
	case (scheme == "mysql" || scheme == "mariadb") && strings.HasPrefix(rest, "//"):
		return parseMySQLURL(dsn)
	case strings.Contains(dsn, "/"):
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, fmt.Errorf("read database address: %w", errDSN)
		}
		return newMySQLTarget(cfg)
	}
	return nil, fmt.Errorf("read database address: %w", errDSN)
}

// parseMySQLURL reads mysql://user:password@host:port/name?tls=true; the query holds the driver's own parameters, and
// "socket" the path of a unix socket.
func parseMySQLURL(dsn string) (target, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, fmt.Errorf("read database address: %w", errDSN)
	}
	query := u.Query()
	socket := query.Get("socket")
	query.Del("socket")
	cfg, err := mysql.ParseDSN("/?" + query.Encode())
	if err != nil {
		return nil, fmt.Errorf("read database address: a parameter after the ? is not one of the MySQL driver's: %w", errDSN)
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	cfg.Net, cfg.Addr = "tcp", u.Host
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	if socket != "" {
		cfg.Net, cfg.Addr = "unix", socket
	}
	return newMySQLTarget(cfg)
}

func newMySQLTarget(cfg *mysql.Config) (target, error) {
	if cfg.DBName == "" {
		return nil, fmt.Errorf("read database address: it names no database; add it after the last slash: %w", errDSN)
	}
	return mysqlTarget{cfg: cfg}, nil
}
