package app

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func settings(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callplane.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func printed(t *testing.T, c Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDefaultsAreGood(t *testing.T) {
	want := printed(t, Defaults())
	for name, path := range map[string]string{
		"no file": "", "empty file": settings(t, "# nothing yet\n"), "empty section": settings(t, "http:\n  # listen: x\n"),
	} {
		c, err := Load(path, []string{"PATH=/bin", "CALLPLANE_CONFIG=x.yaml", "CALLPLANE_TEST_MYSQL=x"})
		if got := printed(t, c); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestFileAndEnvironment(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := settings(t, `
http:
  listen: ":9000"
  origins: [https://crm.example]
user:
  session_idle: 90m
  lock_for: 1h
switches:
  - {name: a, kind: asterisk, url: "http://10.0.0.1:8088/ari", user: u, password_file: `+secret+`}
  - {name: b, kind: asterisk, url: "http://10.0.0.2:8088/ari", password: one}
speech: {voices: {en: amy}}
`)
	c, err := Load(path, []string{
		"CALLPLANE_HTTP_LISTEN=:9001", "CALLPLANE_HTTP_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1", "CALLPLANE_USER_LOCK_FOR=20m",
		"CALLPLANE_SWITCHES_1_PASSWORD=two", "CALLPLANE_SWITCHES_2_NAME=c", "CALLPLANE_SWITCHES_2_KIND=asterisk",
		"CALLPLANE_SWITCHES_2_URL=http://10.0.0.3/ari", "CALLPLANE_SPEECH_KEY_FILE=" + secret, "CALLPLANE_SPEECH_VOICES=zh-CN=mei,en=bob",
		"CALLPLANE_RECORDING_OUTBOUND=false", "CALLPLANE_HTTP_PER_SECOND=7.5", "CALLPLANE_USER_PASSWORD_MAX_AGE=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != ":9001" || len(c.HTTP.TrustedProxies) != 2 || c.HTTP.Origins[0] != "https://crm.example" || c.HTTP.PerSecond != 7.5 {
		t.Errorf("http = %+v", c.HTTP)
	}
	if c.User.SessionIdle != 90*time.Minute || c.User.LockFor != 20*time.Minute || c.User.SessionMax != 16*time.Hour {
		t.Errorf("user = %+v", c.User)
	}
	if len(c.Switches) != 3 || c.Switches[0].Password != "from a file" || c.Switches[1].Password != "two" || c.Switches[2].Name != "c" {
		t.Errorf("switches = %+v", c.Switches)
	}
	if c.Speech.Key != "from a file" || c.Speech.Voices["zh-CN"] != "mei" || c.Speech.Voices["en"] != "bob" || c.Recording.Outbound {
		t.Errorf("speech = %+v, recording = %+v", c.Speech, c.Recording)
	}
	if p, err := c.HTTP.Proxies(); err != nil || p[1].String() != "192.0.2.1/32" {
		t.Errorf("proxies = %v, %v", p, err)
	}
}

// What is not known is refused by name and line, with a suggestion; a bad value names its key.
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		yaml string
		env  []string
		want []string
	}{
		"misspelt":        {"http:\n  lisen: x\nhtpp: {}\n", nil, []string{":2: there is no setting http.lisen; did you mean http.listen?", ":3: there is no setting htpp; did you mean http?"}},
		"misplaced":       {"dsn: x\n", nil, []string{":1: there is no setting dsn; did you mean database.dsn?"}},
		"in a list":       {"switches:\n  - name: a\n    pasword: x\n", nil, []string{":3: there is no setting switches.pasword; did you mean switches.password?"}},
		"not a list":      {"switches: {name: a}\n", nil, []string{":1: switches must be a list"}},
		"no section":      {"http: 8080\n", nil, []string{":1: http must have settings below it"}},
		"no such thing":   {"zzzzzzzz: 1\n", nil, []string{":1: there is no setting zzzzzzzz"}},
		"environment":     {"", []string{"CALLPLANE_HTTP_LISTENS=x"}, []string{"CALLPLANE_HTTP_LISTENS is no setting; did you mean CALLPLANE_HTTP_LISTEN?"}},
		"list with a gap": {"", []string{"CALLPLANE_SWITCHES_1_NAME=x"}, []string{"switches.1.name: the list has 0 before it"}},
		"wrong type":      {"http: {burst: many}\n", nil, []string{"http.burst"}},
		"duration":        {"user: {lock_for: 15}\n", nil, []string{"user.lock_for", "15 is no duration; write 30s, 15m or 4h"}},
		"values": {"log: {level: loud}\nhttp: {origins: ['*'], tls_cert: x, trusted_proxies: [a]}\nuser: {password_min: 3, second_factor: [king]}\ncall: {country: china}\n", nil,
			[]string{`log.level: "loud" is none of debug, info, warn, error`, "http.origins: ", "http.tls_cert: ", "http.trusted_proxies: ", "user.password_min: 3 is not 8 to 64", `"king" is no preset role`, "call.country: "}},
		"switch twice":   {"switches: [{name: a, kind: asterisk, url: 'http://x/ari'}, {name: a, kind: pbx, url: 'ftp://x'}]\n", nil, []string{`switches.1.name: "a" is there twice`, `switches.1.kind: "pbx"`, "switches.1.url: "}},
		"no secret file": {"speech: {key_file: /nowhere}\n", nil, []string{"speech.key_file: open /nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(settings(t, tt.yaml), tt.env)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want %s", err, want)
				}
			}
		})
	}
}

// What Print writes can be loaded, holds every setting, and no secret.
func TestPrint(t *testing.T) {
	c := Defaults()
	c.Database.DSN = "mysql:root:hunter2@p@tcp(10.0.0.1:3306)/callplane"
	c.NATS.URLs = []string{"nats://me:hunter2@10.0.0.1:4222", "nats://hunter2@10.0.0.2:4222"}
	c.Switches = []Switch{{Name: "a", Kind: "asterisk", URL: "http://x/ari", Password: "hunter2"}}
	c.Speech.Key = "hunter2"
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); strings.Contains(out, "hunter2") || !strings.Contains(out, "mysql:root:(hidden)@tcp(10.0.0.1:3306)/callplane") ||
		!strings.Contains(out, "lock_for: 15m\n") || !strings.Contains(out, "max_age: 168h\n") || !strings.Contains(out, "me:(hidden)@10.0.0.1") {
		t.Errorf("printed:\n%s", out)
	}
	again, err := Load(settings(t, b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.User.LockFor != c.User.LockFor || again.HTTP.Burst != c.HTTP.Burst || again.Switches[0].Name != "a" {
		t.Errorf("again = %+v", again)
	}
}

// Every variable's name stands for one setting, and every setting has a doc comment's worth of a tag.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, key := range keys(reflect.TypeFor[Config](), "") {
		name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		if seen[name] != "" || strings.HasSuffix(key, ".") {
			t.Errorf("%s and %s are both %s", key, seen[name], name)
		}
		seen[name] = key
	}
}
