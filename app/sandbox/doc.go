// Package sandbox runs a real Asterisk and a real MySQL beside the tests, without Docker and without touching the host.
//
// [Prepare] builds a Debian tree once, in a folder of its own: apt on the host picks, downloads and verifies the
// packages (with the host's mirror and proxy, but with lists and a cache of our own), and dpkg-deb unpacks them. That
// takes about a quarter of a minute; nothing is installed, and the next call finds the tree ready.
//
// From that one tree [StartAsterisk] and [StartMySQL] start any number of instances side by side. Each has its own
// directory for all it writes and its own ports on 127.0.0.1, and runs in a chroot inside a mount namespace of its own,
// so nothing stays mounted on the host. It dies with the process that started it, however that ends. It needs root, and
// a host with apt.
//
//	ast, err := sandbox.StartAsterisk(ctx, sandbox.AsteriskOptions{})
//	defer ast.Stop(context.Background())
//	// ast.ARI, ast.User, ast.Password, ast.SIP say where it is
//
// Where things are, below [Dir]:
//
//	tree-<hash>/asterisk, mysql, mysql-data   what Prepare built, read-only for instances
//	run/<name>/                               one instance: etc, var, run, tmp, log, and sandbox.json that describes it
package sandbox
