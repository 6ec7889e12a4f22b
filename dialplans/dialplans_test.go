package dialplans

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteAsterisk(t *testing.T) {
	dir := t.TempDir()
	if err := WriteAsterisk(dir, Asterisk{}); err == nil {
		t.Error("wrote an ARI without a password")
	}
	own := filepath.Join(dir, CustomDir, "pjsip.conf")
	os.Mkdir(filepath.Dir(own), 0o755)
	os.WriteFile(own, []byte("; mine\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "features.conf"), []byte("; mine too\n"), 0o644)
	if err := WriteAsterisk(dir, Asterisk{Password: "secret", SIPPort: 5071, ExternalAddress: "192.0.2.1", Music: []string{"jazz"}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ari.conf":          "[callplane]\ntype = user\nread_only = no\npassword_format = plain\npassword = secret\n",
		"pjsip.conf":        "bind = 127.0.0.1:5071\n; Behind NAT: what the far side shall see, except within these networks.\nexternal_signaling_address = 192.0.2.1\n",
		"musiconhold.conf":  "[jazz]\nmode = files\ndirectory = /var/lib/asterisk/moh/jazz\n",
		"extensions.conf":   "CALLPLANE_APP = callplane\n",
		"rtp.conf":          "rtpstart = 10000\nrtpend = 20000\n",
		"custom/pjsip.conf": "; mine\n",
		"features.conf":     "; mine too\n",
		"acl.conf":          "",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q (%v):\n%s", name, want, err, text)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "ari.conf")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("ari.conf: %v %v, others can read the password", info.Mode(), err)
	}
}
