package main

import (
	"context"
	"fmt"
	"strings"

	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// Addresses of the two carriers: a trunk is known by its address.
const (
	refCarrier  = "127.78.0.2"
	oursCarrier = "127.78.0.1"
)

// audio is a wide range of audio ports: a call takes two pairs. Asterisk skips ports in use.
const audioFrom, audioTo = 21000, 31999

// refPassword is that of all phones of the reference.
const refPassword = "reference-1234"

// newReference is Asterisk alone: its own queue, with the same phones and trunk as Callplane makes them. It may do its
// best: the queue polls for free agents as often as it can be told to, and the call is not answered before an agent
// does, where answering would cost time.
func newReference(ctx context.Context, agents int) (*centre, error) {
	var sip, queues strings.Builder
	fmt.Fprintf(&sip, `
[carrier]
type = aor
[carrier]
type = identify
endpoint = carrier
match = %s
[carrier]
type = endpoint
context = ref
%s
aors = carrier
trust_id_inbound = yes
allow_transfer = no
rtp_timeout = 300
rtp_timeout_hold = 3600
`, refCarrier, refEndpoint)
	for i := range agents {
		fmt.Fprintf(&sip, `
[agent%[1]d]
type = auth
auth_type = userpass
username = agent%[1]d
password = %[2]s
[agent%[1]d]
type = aor
max_contacts = 1
remove_existing = yes
qualify_frequency = 30
maximum_expiration = 3600
[agent%[1]d]
type = endpoint
context = ref
%[3]s
auth = agent%[1]d
aors = agent%[1]d
force_rport = yes
rewrite_contact = yes
rtp_timeout = 60
rtp_timeout_hold = 3600
`, i, refPassword, refEndpoint)
	}
	for _, q := range []struct {
		name     string
		from, to int
	}{{"short", 0, few}, {"long", few, agents}} {
		fmt.Fprintf(&queues, `
[%s]
strategy = rrmemory
timeout = 20
retry = 1
wrapuptime = 0
memberdelay = 0
autofill = yes
ringinuse = no
joinempty = yes
leavewhenempty = no
musicclass = default
announce-frequency = 0
announce-position = no
announce-holdtime = no
reportholdtime = no
`, q.name)
		for i := q.from; i < q.to; i++ {
			fmt.Fprintf(&queues, "member => PJSIP/agent%d\n", i)
		}
	}
	ast, err := sandbox.StartAsterisk(ctx, sandbox.AsteriskOptions{RTPStart: audioFrom, RTPEnd: audioTo, Custom: map[string]string{
		"pjsip.conf":  sip.String(),
		"queues.conf": queues.String(),
		"extensions.conf": `
[ref]
exten => 4001,1,Queue(short,,,,120)
 same => n,Hangup()
exten => 4002,1,Answer()
 same => n,Queue(short,,,,120)
 same => n,Hangup()
exten => 4003,1,Queue(long,,,,120)
 same => n,Hangup()
`,
	}})
	if err != nil {
		return nil, err
	}
	c := &centre{name: "app_queue", ast: ast, short: "4001", waiting: "4002", long: "4003"}
	if c.carrier, err = sipphone.New(ctx, sipphone.Config{Addr: refCarrier, Server: ast.SIP, User: "carrier", NoMedia: true, HearFor: 1}); err != nil {
		c.close()
		return nil, err
	}
	err = c.furnish(agents, func(no int) (*desk, error) {
		return c.newDesk(ctx, no, fmt.Sprintf("agent%d", no), refPassword)
	})
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// refEndpoint is what Callplane sets for its own phones and trunks.
const refEndpoint = `disallow = all
allow = ulaw
direct_media = no
rtp_symmetric = yes
dtmf_mode = auto
send_pai = no
allow_subscribe = no
notify_early_inuse_ringing = no`
