// Package dialplans holds the few fixed lines that a telephone switch needs to hand its calls to Callplane.
//
// Phones, trunks and what a number does are data, which Callplane gives the switch while both run. What stands here is
// the ground they need: which modules are loaded, on which ports to listen, and a dialplan that hands over every call.
// The sandbox and the Docker images render the same templates.
package dialplans

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed asterisk/*.conf
var files embed.FS

// blank are files that Asterisk complains about when they are missing, although it needs nothing in them.
var blank = []string{
	"acl.conf", "ccss.conf", "chan_websocket.conf", "features.conf", "pjproject.conf", "pjsip_wizard.conf",
	"queuerules.conf", "udptl.conf", "websocket_client.conf",
}

// Places and names that the Asterisk configuration fixes.
const (
	App           = "callplane"             // the ARI application calls are handed to
	TrunkContext  = "callplane-trunk"       // the dialplan context of trunks
	PhoneContext  = "callplane-phone"       // the dialplan context of agents' phones
	DetectContext = "callplane-amd"         // called parties are listened to here, extension s
	MusicDir      = "/var/lib/asterisk/moh" // one folder for each class of music
	DefaultMusic  = "default"               // the class Asterisk plays when nobody names one
	CustomDir     = "custom"                // the engineer's own files, inside the configuration folder
	RecordingDir  = "/var/spool/asterisk/recording"
	UDPTransport  = "callplane-udp" // the names of the SIP transports, for endpoints that want a certain one
	TCPTransport  = "callplane-tcp"
	WSTransport   = "callplane-ws"
)

// Asterisk is what differs from one Asterisk to the next. The zero value of a field means the default beside it.
type Asterisk struct {
	Name            string   // systemname; "callplane"
	Bind            string   // address to listen on; 127.0.0.1
	SIPPort         int      // UDP and TCP; 5060
	HTTPPort        int      // ARI and WebSocket; 8088
	RTPStart        int      // first audio port; 10000
	RTPEnd          int      // last audio port; 20000
	User            string   // ARI user; "callplane"
	Password        string   // ARI password; needed
	Music           []string // classes of music on hold, each a folder in MusicDir; "default"
	Country         string   // whose tones: us or cn, or one in custom/indications.conf; us
	ExternalAddress string   // the address the world sees when Asterisk is behind NAT; none
	LocalNets       []string // networks inside the NAT; 10/8, 172.16/12, 192.168/16
	Verbose         bool     // log every dialplan step
}

// App is the ARI application, for the templates.
func (Asterisk) App() string { return App }

// MusicDir is where the classes of music are, for the templates.
func (Asterisk) MusicDir() string { return MusicDir }

// WriteAsterisk writes the configuration into dir, usually /etc/asterisk. It overwrites its own files and leaves all
// others alone, the folder custom among them.
func WriteAsterisk(dir string, a Asterisk) error {
	if a.Password == "" {
		return fmt.Errorf("asterisk configuration: a password for ARI is needed")
	}
	a.defaults()
	if err := os.MkdirAll(filepath.Join(dir, CustomDir), 0o755); err != nil {
		return err
	}
	all, err := template.ParseFS(files, "asterisk/*.conf")
	if err != nil {
		return err
	}
	names, err := fs.Glob(files, "asterisk/*.conf")
	if err != nil {
		return err
	}
	for _, name := range names {
		base := filepath.Base(name)
		mode := os.FileMode(0o644)
		if base == "ari.conf" { // holds the password
			mode = 0o640
		}
		f, err := os.OpenFile(filepath.Join(dir, base), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		err = all.ExecuteTemplate(f, base, a)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("asterisk configuration: %w", err)
		}
	}
	for _, name := range blank {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE, 0o644) // an engineer's own stays as it is
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

// defaults fills in what was left out.
func (a *Asterisk) defaults() {
	text := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	number := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	text(&a.Name, "callplane")
	text(&a.Bind, "127.0.0.1")
	text(&a.User, "callplane")
	text(&a.Country, "us")
	number(&a.SIPPort, 5060)
	number(&a.HTTPPort, 8088)
	number(&a.RTPStart, 10000)
	number(&a.RTPEnd, 20000)
	if len(a.Music) == 0 {
		a.Music = []string{DefaultMusic}
	}
	if len(a.LocalNets) == 0 {
		a.LocalNets = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	}
}
