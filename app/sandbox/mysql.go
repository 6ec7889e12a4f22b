package sandbox

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// MySQLOptions says how a MySQL shall be; the zero value is fine.
type MySQLOptions struct {
	Name string   // for people and for stop; chosen if empty
	Port int      // 0 = a free one
	Args []string // more options of mysqld, such as "--innodb-buffer-pool-size=1G"
}

// MySQL is a running MySQL server.
type MySQL struct {
	*Instance
	Addr string // 127.0.0.1:port
	DSN  string // of the server, as root, without a database; CreateDatabase makes one
	Log  string

	config *mysql.Config
}

// mysqld is the server and the options that all ours share: no network but the loopback, no second protocol, no binary
// log, and small files, for servers that come and go.
var mysqld = []string{
	"/usr/sbin/mysqld", "--no-defaults", "--user=root", "--datadir=/var/lib/mysql",
	"--innodb-redo-log-capacity=16M", "--innodb-data-file-path=ibdata1:5M:autoextend", "--innodb-autoextend-increment=4",
	"--skip-log-bin", "--secure-file-priv=NULL", "--auto-generate-certs=OFF", "--performance-schema=OFF", "--tls-version=", "--character-set-server=utf8mb4",
}

// StartMySQL starts a MySQL server and returns when it takes connections. The caller stops it.
func StartMySQL(ctx context.Context, o MySQLOptions) (*MySQL, error) {
	tree, err := Prepare(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	in, err := newInstance("mysql", o.Name, tree.MySQL)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = in.slot.port(2)
	}
	m := &MySQL{
		Instance: in,
		Addr:     net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)),
		Log:      filepath.Join(in.Dir, "console.log"),
		config:   mysql.NewConfig(),
	}
	m.config.User, m.config.Passwd = "root", password()
	m.config.Net, m.config.Addr = "tcp", m.Addr
	m.config.ParseTime = true
	m.DSN = m.config.FormatDSN()
	m.program = append(append(mysqld[:len(mysqld):len(mysqld)],
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(o.Port), "--mysqlx=OFF", "--skip-name-resolve",
		"--socket=/run/mysqld.sock", "--pid-file=/run/mysqld.pid", "--init-file=/etc/mysql-init.sql",
		"--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2", "--max-connections=500",
		"--innodb-buffer-pool-dump-at-shutdown=OFF", "--innodb-fast-shutdown=2",
	), o.Args...)
	m.ready = m.ping
	m.info = func() Info {
		return Info{Kind: "mysql", DSN: m.DSN, User: "root", Password: m.config.Passwd, Log: m.Log}
	}
	// Run at every start, before the first connection.
	err = m.write(map[string]string{"etc/mysql-init.sql": fmt.Sprintf(
		"CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '%s';\n"+
			"GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"+
			"ALTER USER 'root'@'localhost' IDENTIFIED BY '%[1]s';\n", m.config.Passwd)})
	if err == nil {
		err = run(ctx, "cp", "-a", "--reflink=auto", tree.Data, filepath.Join(m.Dir, "var/lib/mysql"))
	}
	if err == nil {
		err = m.start(ctx)
	}
	if err != nil {
		m.abort()
		return nil, err
	}
	return m, nil
}

// CreateDatabase makes an empty database, and returns the DSN for github.com/go-sql-driver/mysql.
func (m *MySQL) CreateDatabase(ctx context.Context, name string) (dsn string, err error) {
	db, err := sql.Open("mysql", m.DSN)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE `"+name+"`"); err != nil {
		return "", fmt.Errorf("sandbox: create database %s: %w", name, err)
	}
	c := m.config.Clone()
	c.DBName = name
	return c.FormatDSN(), nil
}

// ping opens a connection and asks something.
func (m *MySQL) ping(ctx context.Context) error {
	conn, err := net.Dial("tcp", m.Addr) // cheap, and silent, while nobody listens
	if err != nil {
		return err
	}
	conn.Close()
	db, err := sql.Open("mysql", m.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// initMySQL makes an empty data directory, once for all instances.
func initMySQL(ctx context.Context, log io.Writer, root, data string) error {
	fmt.Fprintln(log, "sandbox: initialise MySQL")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	// Into a folder of the tree itself, which is ours alone as yet, and then out of it.
	inside := filepath.Join(root, "var/lib/mysql")
	if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n"} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, mysqld[0], append(mysqld[1:len(mysqld):len(mysqld)], "--initialize-insecure", "--innodb-flush-method=nosync")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initialise MySQL: %w\n%s", err, last(string(out), 10))
	}
	if err := os.Remove(data); err != nil {
		return err
	}
	return os.Rename(inside, data)
}
