// Package docker holds the package lists that the images and the sandbox install, so that both run the same software.
package docker

import (
	_ "embed"
	"strings"
)

var (
	//go:embed asterisk/packages.txt
	asterisk string
	//go:embed mysql/packages.txt
	mysql string
)

// AsteriskPackages returns the Debian packages that make an Asterisk.
func AsteriskPackages() []string { return lines(asterisk) }

// MySQLPackages returns the Debian packages that make a MySQL server.
func MySQLPackages() []string { return lines(mysql) }

// lines returns the lines of a list that name something.
func lines(list string) (names []string) {
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	return names
}
