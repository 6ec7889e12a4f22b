//go:build it

package sandbox

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	_ "github.com/go-sql-driver/mysql"

	"callplane/dialplans"
)

// Two of them run side by side, from one tree, and know nothing of each other.
func TestSideBySide(t *testing.T) {
	a, b := NewAsterisk(t, AsteriskOptions{}), NewAsterisk(t, AsteriskOptions{})
	if a.SIP == b.SIP || a.ARI == b.ARI || a.Dir == b.Dir {
		t.Fatalf("they share something: %+v %+v", a.Info(), b.Info())
	}
	push(t, a, "endpoint", "cp-only-in-a", map[string]string{"context": dialplans.PhoneContext, "allow": "ulaw"})
	if err := a.get(t.Context(), "/asterisk/config/dynamic/res_pjsip/endpoint/cp-only-in-a", http.StatusOK); err != nil {
		t.Error(err)
	}
	if err := b.get(t.Context(), "/asterisk/config/dynamic/res_pjsip/endpoint/cp-only-in-a", http.StatusNotFound); err != nil {
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), Dir()) {
		t.Errorf("something is mounted on the host: %v", err)
	}
	if cpu, err := a.CPUTime(); err != nil || cpu <= 0 {
		t.Errorf("CPUTime = %v, %v", cpu, err)
	}
	list, err := List()
	if err != nil || !bytes.Contains(toJSON(list), []byte(a.Name)) || !bytes.Contains(toJSON(list), []byte(b.Name)) {
		t.Errorf("List = %s, %v", toJSON(list), err)
	}
	dir := a.Dir
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if exists(dir) {
		t.Errorf("%s is left", dir)
	}
}

// After a restart and after a crash it is where it was, and still knows what it was told.
func TestRestart(t *testing.T) {
	a := NewAsterisk(t, AsteriskOptions{})
	push(t, a, "endpoint", "cp-kept", map[string]string{"context": dialplans.PhoneContext, "allow": "ulaw"})
	for _, crash := range []bool{false, true} {
		pid := a.PID()
		if crash {
			if err := a.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.PID() == pid {
			t.Error("it is the same process")
		}
		if err := a.get(t.Context(), "/asterisk/config/dynamic/res_pjsip/endpoint/cp-kept", http.StatusOK); err != nil {
			t.Errorf("crash %v: %v", crash, err)
		}
	}
}

func TestNameIsTakenOnce(t *testing.T) {
	name := fmt.Sprintf("twice-%d", os.Getpid())
	a := NewAsterisk(t, AsteriskOptions{Name: name})
	defer os.RemoveAll(a.Dir)
	if _, err := StartAsterisk(t.Context(), AsteriskOptions{Name: name}); !errors.Is(err, ErrRunning) {
		t.Errorf("the second one: %v", err)
	}
	if err := StopNamed(t.Context(), name); err != nil {
		t.Error(err)
	}
	<-a.Done()
	if err := StopNamed(t.Context(), name); err == nil {
		t.Error("stopped it twice")
	}
}

// A full disk is that of the recordings alone.
func TestFullDisk(t *testing.T) {
	a := NewAsterisk(t, AsteriskOptions{RecordingMiB: 2})
	file := filepath.Join(a.Recordings(), "x.wav")
	if err := a.FillRecordings(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, 5000), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing on a full disk: %v", err)
	}
	if err := a.FreeRecordings(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, make([]byte, 5000), 0o644); err != nil {
		t.Error(err)
	}
	if err := SharedAsterisk(t).FillRecordings(); err == nil {
		t.Error("filled the host's disk")
	}
}

// A call from a trunk reaches the application with the words the dialplan promises; without the application it is
// refused with 503, and a stranger is refused in any case.
func TestHandOver(t *testing.T) {
	a := NewAsterisk(t, AsteriskOptions{Custom: map[string]string{
		"extensions.conf": "[custom-trunk]\nexten => 112,1,Hangup(17)\n",
	}})
	if code := invite(t, a, "+15551234"); code != "401" {
		t.Errorf("a stranger: %s, want 401", code)
	}
	push(t, a, "endpoint", "cp-trunk", map[string]string{"context": dialplans.TrunkContext, "allow": "ulaw"})
	push(t, a, "identify", "cp-trunk", map[string]string{"endpoint": "cp-trunk", "match": "127.0.0.1"})
	if code := invite(t, a, "+15551234"); code != "503" {
		t.Errorf("nobody there: %s, want 503", code)
	}
	if code := invite(t, a, "112"); code != "486" {
		t.Errorf("an engineer's own number: %s, want 486", code)
	}

	url := strings.Replace(a.ARI, "http", "ws", 1) + "/events?app=" + dialplans.App + "&api_key=" + a.User + ":" + a.Password
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for dialled, want := range map[string]string{
		"+15551234":        "inbound,trunk,cp-trunk,+15551234",
		"5":                "inbound,trunk,cp-trunk,5",
		"*97":              "inbound,trunk,cp-trunk,*97",
		"sales":            "inbound,trunk,cp-trunk,sales",
		"5551,evil":        "inbound,trunk,cp-trunk,5551evil",
		"5551;npdi=yes":    "inbound,trunk,cp-trunk,5551",
		"5551%29%22%24%7B": "inbound,trunk,cp-trunk,5551",
	} {
		go invite(t, a, dialled) // ends when its call does
		got := started(t, ws)
		if strings.Join(got.Args[:min(4, len(got.Args))], ",") != want { // then pres=…
			t.Errorf("dialled %s: args %q, want %s", dialled, got.Args, want)
		}
		req, _ := http.NewRequest(http.MethodDelete, a.ARI+"/channels/"+got.Channel.ID, nil)
		req.SetBasicAuth(a.User, a.Password)
		if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("hang up: %v %v", resp, err)
		}
	}
}

// What a killed test process leaves: nothing that runs.
func TestDiesWithItsParent(t *testing.T) {
	if os.Getenv("SANDBOX_TEST_CHILD") != "" {
		a := SharedAsterisk(t)
		os.Stdout.Write(append(toJSON(a.Info()), '\n'))
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiesWithItsParent$")
	cmd.Env = append(os.Environ(), "SANDBOX_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var info Info
	if err := json.NewDecoder(out).Decode(&info); err != nil || !info.alive() {
		t.Fatalf("%+v %v", info, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for range 100 {
		if !info.alive() {
			sweep()
			if exists(info.Dir) {
				t.Errorf("%s is left", info.Dir)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("Asterisk outlived its parent")
}

func TestMySQL(t *testing.T) {
	m := NewMySQL(t, MySQLOptions{})
	dsn, err := m.CreateDatabase(t.Context(), "calls")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (name VARCHAR(20))"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO t VALUES ('客服')"); err != nil {
		t.Fatal(err)
	}
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.PingContext(ctx); err == nil {
		t.Error("a paused server answers")
	}
	if err := m.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var name, version string
	if err := db.QueryRow("SELECT name, VERSION() FROM t").Scan(&name, &version); err != nil || name != "客服" {
		t.Errorf("after the crash: %q, %v", name, err)
	}
	t.Logf("MySQL %s", version)
}

// push puts an object over ARI.
func push(t *testing.T, a *Asterisk, kind, id string, fields map[string]string) {
	t.Helper()
	type field struct {
		Attribute string `json:"attribute"`
		Value     string `json:"value"`
	}
	var body struct {
		Fields []field `json:"fields"`
	}
	for k, v := range fields {
		body.Fields = append(body.Fields, field{k, v})
	}
	req, _ := http.NewRequest(http.MethodPut, a.ARI+"/asterisk/config/dynamic/res_pjsip/"+kind+"/"+id, bytes.NewReader(toJSON(body)))
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(a.User, a.Password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("push %s %s: %s", kind, id, resp.Status)
	}
}

// invite calls a number and returns the status of the final answer.
func invite(t *testing.T, a *Asterisk, number string) string {
	conn, err := net.Dial("udp", a.SIP)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	me := conn.LocalAddr().String()
	id := password()
	sdp := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
	head := func(method, toTag string) string {
		return fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 9\r\n"+
			"From: <sip:15550000@%[4]s>;tag=%[5]s\r\nTo: <sip:%[2]s@%[3]s>%[6]s\r\nCall-ID: %[5]s\r\nCSeq: 1 %[1]s\r\n"+
			"Contact: <sip:15550000@%[4]s>\r\n", method, number, a.SIP, me, id, toTag)
	}
	fmt.Fprintf(conn, "%sContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", head("INVITE", ""), len(sdp), sdp)
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4000)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			t.Errorf("call to %s: %v", number, err)
			return ""
		}
		answer := string(buf[:n])
		code := strings.TrimPrefix(answer, "SIP/2.0 ")[:3]
		if code[0] == '1' {
			continue
		}
		_, tag, _ := strings.Cut(answer, "\r\nTo: ")
		tag, _, _ = strings.Cut(tag, "\r\n")
		_, tag, _ = strings.Cut(tag, ">")
		fmt.Fprintf(conn, "%sContent-Length: 0\r\n\r\n", head("ACK", tag))
		return code
	}
}

// start is what we read of a StasisStart event.
type start struct {
	Type    string
	Args    []string
	Channel struct{ ID string }
}

// started waits for the next call.
func started(t *testing.T, ws *websocket.Conn) (e start) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for e.Type != "StasisStart" {
		e = start{}
		_, text, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func toJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
