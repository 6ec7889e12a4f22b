package db

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

// openMySQL sets what the platform relies on, whatever the server's or the DSN's defaults are. Idle connections are
// dropped after a minute and all after five, so that a restarted server or a moved address is found soon.
func openMySQL(dsn string, conns int) (*pool, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	c.ParseTime = true
	c.Loc = time.UTC
	c.Collation = "utf8mb4_general_ci" // of the connection; columns have their own. Known to MySQL and MariaDB
	c.ClientFoundRows = true           // RowsAffected counts what WHERE matched, as in SQLite
	c.InterpolateParams = true         // one round trip for each statement
	c.CheckConnLiveness = true
	c.RejectReadOnly = true // after a failover, leave a server that has become a replica
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 5 * time.Minute // for statements without a deadline of their own, on a connection that died silently
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params["time_zone"] = "'+00:00'"
	c.Params["transaction_isolation"] = "'READ-COMMITTED'" // fewer gap locks, fewer deadlocks
	c.Params["sql_mode"] = "'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	h := sql.OpenDB(connector)
	h.SetMaxOpenConns(conns)
	h.SetMaxIdleConns(min(conns, 8))
	h.SetConnMaxIdleTime(time.Minute)
	h.SetConnMaxLifetime(5 * time.Minute)
	return &pool{read: h, write: h}, nil
}

func mysqlDialect(p *pool) gorm.Dialector {
	micro := 6
	return gormmysql.New(gormmysql.Config{Conn: p, DefaultDatetimePrecision: &micro, DisableWithReturning: true})
}
