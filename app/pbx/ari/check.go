package ari

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"
)

// Finding is what Check has to say about one thing.
type Finding struct {
	What   string // stable: "reachable", "version", "modules", "lines", "recording", "music"
	OK     bool
	Detail string // for people; when not OK, with what to do
}

// needed are the modules without which something we promise does not work.
var needed = []string{
	"res_ari_applications", "res_ari_asterisk", "res_ari_bridges", "res_ari_channels", "res_ari_endpoints", "res_ari_events",
	"res_ari_playbacks", "res_ari_recordings", "res_stasis_answer", "res_stasis_playback", "res_stasis_recording",
	"res_stasis_snoop", "app_stasis", "bridge_simple", "bridge_softmix", "bridge_holding", "chan_bridge_media", "chan_pjsip",
	"res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user", "res_pjsip_authenticator_digest",
	"res_pjsip_outbound_authenticator_digest", "res_pjsip_outbound_registration", "res_pjsip_registrar", "res_pjsip_refer",
	"res_pjsip_header_funcs", "res_pjsip_transport_websocket", "res_http_websocket", "res_srtp", "res_rtp_asterisk",
	"res_sorcery_astdb", "res_sorcery_config", "res_http_media_cache", "res_musiconhold", "format_wav", "func_callerid",
	"func_channel",
}

// troubles are versions that are known to bite, by the beginning of their number.
var troubles = []struct{ version, what string }{
	{"22.10.1", "works; it can lock up when the peer of a media WebSocket stops reading, and stall with AudioSocket: use external media over RTP"},
}

// Check looks whether this Asterisk can do its work. It needs no Run, and takes some three seconds, in which it records
// its own music on hold. It is for the doctor command.
func (s *Switch) Check(ctx context.Context) []Finding {
	info, err := s.info(ctx)
	if err != nil {
		return []Finding{{"reachable", false, fmt.Sprintf("%s does not answer (%v). Is Asterisk running, http.conf enabled, and the user in ari.conf?", s.cfg.URL, err)}}
	}
	found := []Finding{{"reachable", true, s.cfg.URL}, checkVersion(info.SystemInfo.Version), s.checkModules(ctx), s.checkLines()}
	return append(found, s.checkSound(ctx)...)
}

func checkVersion(version string) Finding {
	number := strings.TrimPrefix(version, "certified/")
	major, _, _ := strings.Cut(number, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 22 {
		return Finding{"version", false, "Asterisk " + version + " is too old: 22 is needed (transfers in our hands, ARI over astdb)."}
	}
	for _, t := range troubles {
		if rest, ok := strings.CutPrefix(number, t.version); ok && (rest == "" || strings.ContainsRune("+~-", rune(rest[0]))) {
			return Finding{"version", true, "Asterisk " + version + ": " + t.what + "."}
		}
	}
	return Finding{"version", true, "Asterisk " + version}
}

func (s *Switch) checkModules(ctx context.Context) Finding {
	var have []ari.ModuleData
	if err := s.link.do(ctx, ask{op: "modules", method: http.MethodGet, path: path("asterisk", "modules")}, &have); err != nil {
		return Finding{"modules", false, err.Error()}
	}
	running := map[string]bool{}
	for _, m := range have {
		running[strings.TrimSuffix(m.Name, ".so")] = m.Status == "Running"
	}
	var missing []string
	for _, m := range needed {
		if !running[m] {
			missing = append(missing, m)
		}
	}
	if len(missing) > 0 {
		return Finding{"modules", false, "Not loaded: " + strings.Join(missing, ", ") + ". Load them in modules.conf."}
	}
	return Finding{"modules", true, fmt.Sprintf("all %d that we need are loaded", len(needed))}
}

// checkLines writes a phone that cannot register, and takes it away.
func (s *Switch) checkLines() Finding {
	config := s.lib.Asterisk().Config()
	for _, kind := range []string{"aor", "identify", "registration"} {
		key := ari.NewKey("config", ari.ConfigID("res_pjsip", kind, "cp_check"))
		fields := map[string][]ari.ConfigTuple{
			"aor":          {{Attribute: "max_contacts", Value: "1"}},
			"identify":     {{Attribute: "endpoint", Value: "cp_check"}, {Attribute: "match", Value: "192.0.2.1"}},
			"registration": {{Attribute: "server_uri", Value: "sip:192.0.2.1"}, {Attribute: "client_uri", Value: "sip:check@192.0.2.1"}, {Attribute: "max_retries", Value: "0"}},
		}[kind]
		err := config.Update(key, fields)
		if derr := config.Delete(key); err == nil {
			err = derr
		}
		if err != nil {
			return Finding{"lines", false, fmt.Sprintf("Asterisk does not store %s objects (%v). sorcery.conf needs the astdb lines of dialplans/asterisk/sorcery.conf, and a restart.", kind, err)}
		}
	}
	return Finding{"lines", true, "phones and trunks can be written"}
}

// checkSound records a second of the music that waiting callers would hear.
func (s *Switch) checkSound(ctx context.Context) []Finding {
	name := fmt.Sprintf("~check~%x", time.Now().UnixNano())
	rec := path("recordings", "stored", name)
	sound, err := s.recordMusic(ctx, name)
	clean := context.WithoutCancel(ctx)
	_ = s.link.do(clean, ask{op: "close_bridge", method: http.MethodDelete, path: path("bridges", name)}, nil)
	_ = s.link.do(clean, ask{op: "drop_recording", method: http.MethodDelete, path: rec}, nil)
	if err != nil {
		return []Finding{{"recording", false, fmt.Sprintf("Nothing can be recorded (%v). The folder /var/spool/asterisk/recording must exist and belong to the user asterisk.", err)}}
	}
	findings := []Finding{{"recording", true, fmt.Sprintf("%d bytes recorded and read back", len(sound))}}
	if loudest(sound) < 100 {
		return append(findings, Finding{"music", false, "The class default of music on hold is silent. Put a file into its folder and restart Asterisk."})
	}
	return append(findings, Finding{"music", true, "the class default of music on hold plays"})
}

// recordMusic makes a bridge with music and records it.
func (s *Switch) recordMusic(ctx context.Context, name string) ([]byte, error) {
	steps := []ask{
		{op: "create_bridge", method: http.MethodPost, path: path("bridges", name), query: url.Values{"type": {"holding"}}},
		{op: "bridge_moh", method: http.MethodPost, path: path("bridges", name, "moh"), query: url.Values{"mohClass": {"default"}}},
		{op: "record", method: http.MethodPost, path: path("bridges", name, "record"),
			query: url.Values{"name": {name}, "format": {"wav"}, "maxDurationSeconds": {"1"}, "ifExists": {"overwrite"}}},
	}
	for _, step := range steps {
		if err := s.link.do(ctx, step, nil); err != nil {
			return nil, err
		}
	}
	for range 50 {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if s.isRecording(ctx, name) {
			continue
		}
		resp, err := s.link.send(ctx, ask{op: "fetch_recording", method: http.MethodGet, path: path("recordings", "stored", name, "file")})
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	}
	return nil, errors.New("the recording does not end")
}

// loudest is the greatest sample of a WAV file of 16 bits.
func loudest(wav []byte) int {
	top := 0
	for i := 44; i+1 < len(wav); i += 2 {
		v := int(int16(binary.LittleEndian.Uint16(wav[i:])))
		top = max(top, v, -v)
	}
	return top
}
