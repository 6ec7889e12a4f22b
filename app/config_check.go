package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

var (
	switchName  = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	twoLetters  = regexp.MustCompile(`^[A-Z]{2}$`)
	areaCode    = regexp.MustCompile(`^([1-9][0-9]{0,5})?$`)
	dsnPassword = regexp.MustCompile(`^(mysql:[^:@]*:).*(@[^@]*)$`)
)

// Check finds values that cannot work, all at once, each with its key.
func (c Config) Check() error {
	var faults []error
	bad := func(ok bool, key, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
		}
	}
	oneOf := func(key, value string, allowed ...string) {
		bad(slices.Contains(allowed, value), key, "%q is none of %s", value, strings.Join(allowed, ", "))
	}
	address := func(key, value string) {
		if value != "" {
			_, port, err := net.SplitHostPort(value)
			n, errPort := strconv.Atoi(port)
			bad(err == nil && errPort == nil && n >= 0 && n < 65536, key, "%q is not host:port", value)
		}
	}
	link := func(key, value string, schemes ...string) {
		if value != "" {
			u, err := url.Parse(value)
			bad(err == nil && slices.Contains(schemes, u.Scheme) && (u.Host != "" || u.Scheme == "file"), key,
				"%q is no address with %s", hideUser(value), strings.Join(schemes, " or "))
		}
	}
	positive := func(key string, d time.Duration) { bad(d > 0, key, "must be more than 0") }

	bad(c.DataDir != "", "data_dir", "must not be empty")
	bad(c.HTTP.Listen != "", "http.listen", "must not be empty")
	address("http.listen", c.HTTP.Listen)
	address("http.debug", c.HTTP.Debug)
	bad(c.HTTP.Debug == "" || loopback(c.HTTP.Debug), "http.debug", "%q is no loopback address", c.HTTP.Debug)
	bad((c.HTTP.TLSCert == "") == (c.HTTP.TLSKey == ""), "http.tls_cert", "it and http.tls_key go together")
	link("http.public_url", c.HTTP.PublicURL, "http", "https")
	for _, o := range c.HTTP.Origins {
		err := api.CheckOrigin(o)
		bad(err == nil, "http.origins", "%v", err)
	}
	_, err := c.HTTP.Proxies()
	bad(err == nil, "http.trusted_proxies", "%v", err)
	bad(c.HTTP.PerSecond > 0, "http.per_second", "must be more than 0")
	bad(c.HTTP.Burst > 0, "http.burst", "must be more than 0")
	bad(c.Database.DSN == "" || strings.HasPrefix(c.Database.DSN, "sqlite:") || strings.HasPrefix(c.Database.DSN, "mysql:"),
		"database.dsn", "must begin with sqlite: or mysql:")
	bad(c.Database.Pool > 0, "database.pool", "must be more than 0")
	positive("database.slow", c.Database.Slow)
	for _, u := range c.NATS.URLs {
		link("nats.urls", u, "nats", "tls", "ws", "wss")
	}
	bad(slices.Contains([]int{0, 1, 3, 5}, c.NATS.Replicas), "nats.replicas", "%d is none of 0, 1, 3, 5", c.NATS.Replicas)
	address("nats.listen", c.NATS.Listen)
	positive("nats.max_age", c.NATS.MaxAge)
	bad(c.NATS.MaxBytes > 0, "nats.max_bytes", "must be more than 0")
	link("files.url", c.Files.URL, "file", "s3")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "text", "json")
	seen := map[string]bool{}
	for i, s := range c.Switches {
		key := fmt.Sprintf("switches.%d.", i)
		bad(switchName.MatchString(s.Name), key+"name", "%q is not 1 to 40 of a-z, 0-9 and -", s.Name)
		bad(!seen[s.Name], key+"name", "%q is there twice", s.Name)
		seen[s.Name] = true
		oneOf(key+"kind", s.Kind, "asterisk")
		bad(s.URL != "", key+"url", "must not be empty")
		link(key+"url", s.URL, "http", "https")
		link(key+"media_url", s.MediaURL, "http", "https")
		address(key+"sip_address", s.SIPAddress)
	}
	oneOf("speech.engine", c.Speech.Engine, "none", "espeak", "command", "http")
	bad(c.Speech.Engine != "command" || c.Speech.Command != "", "speech.command", "engine command needs it")
	bad(c.Speech.Engine != "http" || c.Speech.URL != "", "speech.url", "engine http needs it")
	link("speech.url", c.Speech.URL, "http", "https")
	bad(c.Speech.Rate >= 60 && c.Speech.Rate <= 400, "speech.rate", "%v is not 60 to 400", c.Speech.Rate)
	bad(c.Speech.RateEN >= 60 && c.Speech.RateEN <= 400, "speech.rate_en", "%v is not 60 to 400", c.Speech.RateEN)
	positive("recording.longest", c.Recording.Longest)
	bad(twoLetters.MatchString(c.Call.Country), "call.country", "%q is not two capital letters", c.Call.Country)
	bad(areaCode.MatchString(c.Call.Area), "call.area", "%q is not up to 6 digits without a leading 0", c.Call.Area)
	positive("call.ring", c.Call.Ring)
	positive("call.ring_agent", c.Call.RingAgent)
	bad(c.Call.WrapUp >= 0, "call.wrap_up", "must not be negative")
	bad(c.Call.Grace >= 0, "call.grace", "must not be negative")
	positive("voicemail.due", c.Voicemail.Due)
	positive("user.session_idle", c.User.SessionIdle)
	bad(c.User.SessionMax >= c.User.SessionIdle, "user.session_max", "is less than user.session_idle")
	bad(c.User.PasswordMin >= 8 && c.User.PasswordMin <= 64, "user.password_min", "%d is not 8 to 64", c.User.PasswordMin)
	bad(c.User.PasswordKeep >= 0 && c.User.PasswordKeep <= 24, "user.password_keep", "%d is not 0 to 24", c.User.PasswordKeep)
	bad(c.User.PasswordMaxAge >= 0, "user.password_max_age", "must not be negative")
	bad(c.User.LockAfter >= 1, "user.lock_after", "must be more than 0")
	positive("user.lock_for", c.User.LockFor)
	bad(c.User.LoginPerMinute >= 1, "user.login_per_minute", "must be more than 0")
	bad(c.User.HashMemoryMiB >= 8 && c.User.HashMemoryMiB <= 1024, "user.hash_memory_mib", "%d is not 8 to 1024", c.User.HashMemoryMiB)
	for _, role := range append(slices.Clone(c.User.SecondFactor), c.User.OneSession...) {
		bad(slices.ContainsFunc(auth.Presets(), func(p auth.Preset) bool { return p.Name == role }), "user", "%q is no preset role", role)
	}
	return errors.Join(faults...)
}

// Proxies is TrustedProxies, parsed.
func (h HTTP) Proxies() (list []netip.Prefix, err error) {
	for _, text := range h.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, errAddr := netip.ParseAddr(text)
			if errAddr != nil {
				return nil, fmt.Errorf("%q is no address or CIDR", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// Print writes all settings in force as YAML that Load reads, with secrets hidden.
func (c Config) Print(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(node(reflect.ValueOf(c), "")); err != nil {
		return err
	}
	return e.Close()
}

const hidden = "(hidden)"

// node is a value as YAML, with the fields in the order of the type.
func node(v reflect.Value, secret string) *yaml.Node {
	n := &yaml.Node{}
	switch v.Kind() {
	case reflect.Struct:
		n.Kind = yaml.MappingNode
		for i := range v.NumField() {
			f := v.Type().Field(i)
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Tag.Get("koanf")},
				node(v.Field(i), f.Tag.Get("secret")))
		}
		return n
	case reflect.Slice:
		n.Kind = yaml.SequenceNode
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i), secret))
		}
		return n
	}
	value := v.Interface()
	switch x := value.(type) {
	case time.Duration:
		value = shortDuration(x)
	case string:
		switch {
		case secret == "true" && x != "":
			value = hidden
		case secret == "part":
			value = hideUser(dsnPassword.ReplaceAllString(x, "${1}"+hidden+"${2}"))
		}
	case map[string]string:
		if x == nil {
			value = map[string]string{}
		}
	}
	if err := n.Encode(value); err != nil {
		panic(err) // a setting is text, a number, a flag or a map of texts
	}
	return n
}

// hideUser takes the password out of an address.
func hideUser(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	if _, has := u.User.Password(); !has {
		u.User = url.User(hidden) // a token
	} else {
		u.User = url.UserPassword(u.User.Username(), hidden)
	}
	out, err := url.PathUnescape(u.String())
	if err != nil {
		return hidden
	}
	return out
}

// shortDuration is 15m rather than 15m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
