package recording

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
	"callplane/app/recording/wav"
	"callplane/app/voicemail"
)

// kitOn is a kit on a given database.
func kitOn(t *testing.T, d *gorm.DB) *kernel.Kit {
	t.Helper()
	k := kerneltest.New(t)
	if d != nil {
		k.DB = d
		k.Outbox = outbox.New(d, k.Bus)
		k.Jobs = jobs.New(k.Bus, k.Outbox)
	}
	k.Bus.Publish(bus.NewEvent("test.begin", "", nil)) // the stream cannot be read from its very first event on
	if err := k.Bus.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// tree knows the units of the tests.
type tree map[auth.UnitID]string

func (t tree) Path(u auth.UnitID) string { return t[u] }

var units = tree{"root": "/root/", "team": "/root/team/", "else": "/root/else/"}

// newService makes the module, and voicemail below it, with a switch.
func newService(t *testing.T, k *kernel.Kit, sw Switch) *Service {
	t.Helper()
	return New(k, One(sw), voicemail.New(k, units, voicemail.Config{}), Config{TempDir: t.TempDir()})
}

func job(t testing.TB, payload any) jobs.Job {
	t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return jobs.Job{Payload: raw, Added: time.Now()}
}

func work(t testing.TB, rec call.Record) jobs.Job {
	t.Helper()
	w, ok := WorkOf(rec, 4*time.Hour)
	if !ok {
		t.Fatal("nothing to collect")
	}
	return job(t, w)
}

// stereo reads a stored file.
func stereo(t testing.TB, k *kernel.Kit, r Recording) (left, right []int16) {
	t.Helper()
	f, err := k.Files.Open(t.Context(), r.File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil || int64(len(raw)) != r.Bytes || raw[22] != 2 || binary.LittleEndian.Uint32(raw[40:]) != uint32(len(raw)-44) {
		t.Fatalf("%d bytes, row says %d: %v", len(raw), r.Bytes, err)
	}
	for i := 44; i+3 < len(raw); i += 4 {
		left = append(left, int16(binary.LittleEndian.Uint16(raw[i:])))
		right = append(right, int16(binary.LittleEndian.Uint16(raw[i+2:])))
	}
	return left, right
}

// sounds tells whether samples hold a party's tone, by Goertzel's filter.
func sounds(pcm []int16, party string) bool {
	k := 2 * math.Cos(2*math.Pi*tones[party]/wav.Rate)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
	}
	return math.Sqrt(max(0, s1*s1+s2*s2-k*s1*s2))*2/float64(len(pcm)) > 1500
}

// stored is the row of the played call.
func stored(t testing.TB, s *Service) Recording {
	t.Helper()
	r, err := s.Get(auth.System(t.Context()), "0190a000-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	return r
}
