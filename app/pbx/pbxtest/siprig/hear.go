package siprig

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
)

// tones gives each far end a tone: above those of keys, prompts and music, and far enough apart to be told apart.
type tones struct {
	mu    sync.Mutex
	free  []float64 // the longest unused first
	names map[float64]string
}

func (t *tones) init() {
	t.names = map[float64]string{}
	for hz := 1720.0; hz < 3400; hz += 56 {
		t.free = append(t.free, hz)
	}
}

// take finds a tone for somebody; when there are too many people it is 0, which is silence.
func (t *tones) take(name string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 {
		return 0
	}
	hz := t.free[0]
	t.free = t.free[1:]
	t.names[hz] = name
	return hz
}

func (t *tones) giveBack(hz float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if hz > 0 {
		t.free = append(t.free, hz)
		delete(t.names, hz)
	}
}

// Hearing.
const (
	window = 250 * time.Millisecond
	floor  = -45.0 // dBFS: music is at -32, people and prompts at -12
	near   = 8.0   // Hz
)

// Hears tells what the tones of the last moment mean. What it does not know is told as "tone:<Hz>".
func (p *peer) Hears() []string {
	p.mu.Lock()
	ear := p.ear
	p.mu.Unlock()
	if ear == nil || p.isOver() {
		return []string{pbxtest.Silence}
	}
	var out []string
	for _, tone := range ear.Tones(window) {
		if tone.Level < floor {
			continue
		}
		if what := p.rig.meaning(tone.Hz); what != "" {
			out = append(out, what)
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return []string{pbxtest.Silence}
	}
	return out
}

func (r *Rig) meaning(hz float64) string {
	is := func(known float64) bool { return math.Abs(hz-known) < near }
	for class, chord := range r.cfg.Music {
		if is(chord[0]) {
			return "music:" + class
		}
		if slices.ContainsFunc(chord[1:], is) {
			return ""
		}
	}
	if media := r.prompts.find(is); media != "" {
		return "play:" + string(media)
	}
	r.tones.mu.Lock()
	defer r.tones.mu.Unlock()
	for known, name := range r.tones.names {
		if is(known) {
			return name
		}
	}
	return fmt.Sprintf("tone:%.0f", hz)
}

// prompts is an HTTP server of tones. The URL says it all: /<name>-<Hz>-<ms>.wav
type prompts struct {
	server *httptest.Server

	mu    sync.Mutex
	next  int
	made  map[float64]pbx.Media // the newest of each tone
	byKey map[string]pbx.Media
}

// promptTones keep clear of music on hold and of people.
var promptTones = []float64{1010, 1150, 1310, 1370, 1430, 1490, 1550, 1610}

func newPrompts(t *testing.T) *prompts {
	p := &prompts{made: map[float64]pbx.Media{}, byKey: map[string]pbx.Media{}}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

// get makes a prompt, or finds the one of this name and length.
func (p *prompts) get(name string, length time.Duration) pbx.Media {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(name, length)
	if m := p.byKey[key]; m != "" {
		return m
	}
	hz := promptTones[p.next%len(promptTones)]
	p.next++
	m := pbx.Media(fmt.Sprintf("%s/%s-%.0f-%d.wav", p.server.URL, name, hz, length.Milliseconds()))
	p.made[hz], p.byKey[key] = m, m
	return m
}

func (p *prompts) find(is func(float64) bool) pbx.Media {
	p.mu.Lock()
	defer p.mu.Unlock()
	for hz, m := range p.made {
		if is(hz) {
			return m
		}
	}
	return ""
}

func (p *prompts) serve(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/"), ".wav"), "-")
	if len(parts) != 3 {
		http.NotFound(w, req)
		return
	}
	hz, err1 := strconv.Atoi(parts[1])
	ms, err2 := strconv.Atoi(parts[2])
	if err1 != nil || err2 != nil {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("ETag", strconv.Quote(req.URL.Path))
	_, _ = w.Write(toneWAV(float64(hz), ms*8))
}

// toneWAV is a WAV file, mono, 8 kHz, 16 bits.
func toneWAV(hz float64, samples int) []byte {
	b := make([]byte, 44, 44+2*samples)
	copy(b, "RIFF....WAVEfmt ")
	le := binary.LittleEndian
	le.PutUint32(b[4:], uint32(36+2*samples))
	le.PutUint32(b[16:], 16)
	le.PutUint16(b[20:], 1)
	le.PutUint16(b[22:], 1)
	le.PutUint32(b[24:], 8000)
	le.PutUint32(b[28:], 16000)
	le.PutUint16(b[32:], 2)
	le.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	le.PutUint32(b[40:], uint32(2*samples))
	for i := range samples {
		s := int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/8000))
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}
