package app

import (
	"time"

	"callplane/app/user"
)

// Config is every setting of the platform. Settings come from three places, the later ones winning: the defaults
// written here, one YAML file with the keys named in the koanf tags, and environment variables: the key in capitals with
// _ between its parts, as CALLPLANE_HTTP_LISTEN for http.listen, and CALLPLANE_SWITCHES_0_PASSWORD for the first switch.
//
// A setting marked secret may instead be given as the name of a file that holds it, under its own name with _file
// behind it: password_file. Durations are written 30s, 15m, 4h. Lists in the environment are separated by commas, and
// so are maps: en=a,zh-CN=b. [Load] refuses what it does not know.
type Config struct {
	// DataDir holds what this node keeps on disk: SQLite, streams, recordings. Relative to where the process starts.
	// Default "var".
	DataDir string `koanf:"data_dir"`

	HTTP      HTTP      `koanf:"http"`
	Database  Database  `koanf:"database"`
	NATS      NATS      `koanf:"nats"`
	Files     Files     `koanf:"files"`
	Log       Log       `koanf:"log"`
	Switches  []Switch  `koanf:"switches"` // the telephone switches; none: calls cannot be made. Default none
	Speech    Speech    `koanf:"speech"`
	Recording Recording `koanf:"recording"`
	Call      Call      `koanf:"call"`
	Voicemail Voicemail `koanf:"voicemail"`
	Webhook   Webhook   `koanf:"webhook"`
	User      User      `koanf:"user"`
}

// HTTP is how browsers and programs reach us.
type HTTP struct {
	Listen         string   `koanf:"listen"`          // address and port. Default ":8080"
	TLSCert        string   `koanf:"tls_cert"`        // file with the certificate chain, PEM. Default none: plain HTTP
	TLSKey         string   `koanf:"tls_key"`         // file with its key, PEM; needed with tls_cert
	PublicURL      string   `koanf:"public_url"`      // how people reach us, for links: https://desk.example.com. Default none
	TrustedProxies []string `koanf:"trusted_proxies"` // addresses or CIDRs whose X-Forwarded headers are believed. Default none
	Origins        []string `koanf:"origins"`         // other sites whose pages may call the API, exactly. Default none
	PerSecond      float64  `koanf:"per_second"`      // requests a second for each session, key or address. Default 50
	Burst          int      `koanf:"burst"`           // and at once. Default 200
	Debug          string   `koanf:"debug"`           // loopback address that serves Go's profiles, to whoever is on this host. Default none
}

// Database is where configuration and history are kept.
type Database struct {
	// DSN is "sqlite:/path/file.db" or "mysql:user:password@tcp(host:3306)/name". Default: callplane.db in data_dir.
	DSN  string        `koanf:"dsn" secret:"part"`
	Pool int           `koanf:"pool"` // the most connections to MySQL. Default 32
	Slow time.Duration `koanf:"slow"` // statements that take longer are logged. Default 200ms
}

// NATS is where live state and the event stream are kept.
type NATS struct {
	URLs     []string      `koanf:"urls" secret:"part"` // of a cluster. Default none: a server inside this process
	Node     string        `koanf:"node"`               // this node's name in leases. Default: made once, kept in data_dir
	Replicas int           `koanf:"replicas"`           // servers that keep each stream: 1, 3 or 5. Default 0: 1 inside, 3 in a cluster
	Listen   string        `koanf:"listen"`             // loopback address of the server inside, for tools. Default none
	MaxAge   time.Duration `koanf:"max_age"`            // how long events are kept. Default 168h
	MaxBytes int64         `koanf:"max_bytes"`          // and how many bytes of them. Default 4294967296 (4 GiB)
}

// Files is where recordings, prompts, attachments and exports are kept.
type Files struct {
	URL string `koanf:"url"` // file:///folder or s3://bucket?region=…. Default: the folder files in data_dir
}

// Log is what the process writes to standard error.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn or error. Default info
	Format string `koanf:"format"` // text or json. Default text
}

// Switch is one telephone switch that we drive.
type Switch struct {
	Name     string `koanf:"name"`                   // unique, [a-z0-9-]; phones and trunks name it
	Kind     string `koanf:"kind"`                   // asterisk
	URL      string `koanf:"url"`                    // of its control interface: http://127.0.0.1:8088/ari
	User     string `koanf:"user"`                   //
	Password string `koanf:"password" secret:"true"` //
	App      string `koanf:"app"`                    // our application's name there. Empty: callplane
	// SIPAddress is host:port where phones and trunks reach it. Empty: the host of url, port 5060.
	SIPAddress string `koanf:"sip_address"`
	// MediaURL is how the switch reaches us to fetch prompts: http://10.0.0.5:8080. Empty: http.listen on this host.
	MediaURL string `koanf:"media_url"`
}

// Speech is how written prompts become sound.
type Speech struct {
	Engine  string            `koanf:"engine"`            // none, espeak, command or http. Default espeak
	Command string            `koanf:"command"`           // engine command: program and arguments, with {text} {lang} {voice} {rate} {out} filled in
	URL     string            `koanf:"url"`               // engine http: an OpenAI-compatible service, as far as /v1
	Key     string            `koanf:"key" secret:"true"` // engine http: the bearer token
	Model   string            `koanf:"model"`             // engine http. Default tts-1
	Rate    float64           `koanf:"rate"`              // Chinese characters a minute, 60 to 400. Default 120
	RateEN  float64           `koanf:"rate_en"`           // English words a minute, 60 to 400. Default 130
	Voices  map[string]string `koanf:"voices"`            // voice by language. Default: the engine's own
}

// Recording is what is kept of calls.
type Recording struct {
	Outbound bool          `koanf:"outbound"` // record the calls that agents place; a queue says so itself. Default true
	Longest  time.Duration `koanf:"longest"`  // one recording ends then. Default 4h
}

// Call is about all calls.
type Call struct {
	Country   string        `koanf:"country"`    // how to read numbers without a country code: two letters. Default CN
	Area      string        `koanf:"area"`       // own area code without its leading 0, such as 10: decides local or long distance. Default none
	Ring      time.Duration `koanf:"ring"`       // a called party rings so long. Default 60s
	RingAgent time.Duration `koanf:"ring_agent"` // an agent's phone, where no queue says otherwise. Default 20s
	WrapUp    time.Duration `koanf:"wrap_up"`    // after a call that came through no queue. Default 15s
	Grace     time.Duration `koanf:"grace"`      // at shutdown, time for requests to end. Default 10s
}

// Voicemail is about messages that callers leave.
type Voicemail struct {
	Due time.Duration `koanf:"due"` // the task to answer one is due so long after the call. Default 4h
}

// Webhook is about telling other systems what happened.
type Webhook struct {
	AllowPrivate bool `koanf:"allow_private"` // events may be sent to private networks and this host. Default false
}

// User is how people sign in. It has the fields of user.Config, in order: user.Config(cfg.User) converts.
type User struct {
	SessionIdle    time.Duration `koanf:"session_idle"`     // a session ends so long after its last request or open page. Default 4h
	SessionMax     time.Duration `koanf:"session_max"`      // and in any case after this. Default 16h
	OneSession     []string      `koanf:"one_session"`      // roles with one session: a new one ends the others. Default agent
	PasswordMin    int           `koanf:"password_min"`     // characters, at least 8. Default 10
	PasswordKeep   int           `koanf:"password_keep"`    // so many former passwords may not come back. Default 3
	PasswordMaxAge time.Duration `koanf:"password_max_age"` // then it must be changed; 0: never. Default 0
	LockAfter      int           `koanf:"lock_after"`       // wrong attempts in a row lock the account. Default 5
	LockFor        time.Duration `koanf:"lock_for"`         // for so long. Default 15m
	LoginPerMinute int           `koanf:"login_per_minute"` // wrong attempts a minute from one address, or for one login. Default 20
	SecondFactor   []string      `koanf:"second_factor"`    // preset roles that must have one. Default none
	HashMemoryMiB  int           `koanf:"hash_memory_mib"`  // of argon2id for each of two hashes at a time. Default 46
}

// Defaults is the configuration without file and environment.
func Defaults() Config {
	return Config{
		DataDir:   "var",
		HTTP:      HTTP{Listen: ":8080", PerSecond: 50, Burst: 200},
		Database:  Database{Pool: 32, Slow: 200 * time.Millisecond},
		NATS:      NATS{MaxAge: 7 * 24 * time.Hour, MaxBytes: 4 << 30},
		Log:       Log{Level: "info", Format: "text"},
		Speech:    Speech{Engine: "espeak", Rate: 120, RateEN: 130},
		Recording: Recording{Outbound: true, Longest: 4 * time.Hour},
		Call: Call{
			Country: "CN", Ring: 60 * time.Second, RingAgent: 20 * time.Second, WrapUp: 15 * time.Second, Grace: 10 * time.Second,
		},
		Voicemail: Voicemail{Due: 4 * time.Hour},
		User:      User(user.DefaultConfig()),
	}
}
