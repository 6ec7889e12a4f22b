package sipphone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// polite is how long Close waits for the answers to its BYEs and its un-REGISTER.
const polite = 2 * time.Second

// Phone is one SIP telephone, or one trunk peer: a UDP socket and the calls on it.
type Phone struct {
	cfg  Config
	addr netip.AddrPort
	conn *net.UDPConn
	sink *net.UDPConn // with NoMedia: the port we name in SDP, never read
	tp   *sip.TransportLayer
	tx   *sip.TransactionLayer

	ctx    context.Context // ends when the phone is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of the phone but two; clear waits for it
	deaf   chan struct{}  // closed when the socket is not read any more
	down   chan struct{}  // closed when all is closed; Close waits for it
	gone   atomic.Bool    // see Vanish
	peers  sync.Map       // "ip:port" of everybody we heard of

	incoming chan *Incoming
	reg      registration
	desk     registrar

	mu      sync.Mutex
	closing bool
	closed  bool
	calls   map[string]*Call       // by dialog key, from the first INVITE on
	ringing map[*Incoming]struct{} // not yet answered, rejected or cancelled
	dialing map[*Outgoing]struct{} // not yet answered or failed
}

// New opens a phone. It is closed by Close, or when ctx ends (then without BYE or un-REGISTER).
func New(ctx context.Context, cfg Config) (*Phone, error) {
	cfg = cfg.withDefaults()
	host, port, found := strings.Cut(cfg.Addr, ":")
	if !found {
		port = "0"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("phone address %q: %w", cfg.Addr, err)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("phone address %q: %w", cfg.Addr, err)
	}
	p := &Phone{
		cfg: cfg, conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(),
		deaf: make(chan struct{}), down: make(chan struct{}), incoming: make(chan *Incoming, 256),
		calls:   map[string]*Call{},
		ringing: map[*Incoming]struct{}{},
		dialing: map[*Outgoing]struct{}{},
	}
	p.reg.init()
	p.desk.init()
	if cfg.NoMedia {
		if p.sink, err = net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice()}); err != nil {
			return nil, errors.Join(fmt.Errorf("phone media port: %w", err), conn.Close())
		}
		_ = p.sink.SetReadBuffer(2048) // nobody reads it
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.tp = sip.NewTransportLayer(net.DefaultResolver, sip.NewParser(), nil,
		sip.WithTransportLayerLogger(cfg.Log), sip.WithTransportLayerReadFilter(p.filter))
	p.tx = sip.NewTransactionLayer(p.tp, sip.WithTransactionLayerLogger(cfg.Log),
		sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}))
	p.tx.OnRequest(p.handle)
	// Known to the pool before the reader runs, so that our first request leaves from this socket.
	p.tp.Pool("udp").Add(p.Addr(), &sip.UDPConnection{PacketConn: conn, PacketAddr: p.Addr(), Listener: true})
	go func() { // ends when clear closes conn, which waits for it
		defer close(p.deaf)
		_ = p.tp.ServeUDP(conn)
	}()
	stop := context.AfterFunc(ctx, p.shut)
	context.AfterFunc(p.ctx, func() { stop() })
	return p, nil
}

// Addr is "ip:port" of the SIP socket.
func (p *Phone) Addr() string { return p.addr.String() }

// URI is the phone's own SIP URI, to call it without a switch.
func (p *Phone) URI() string { return "sip:" + p.cfg.User + "@" + p.Addr() }

// Incoming is where calls wait that nobody answers automatically. It holds 256; further calls get 486. The channel
// is never closed.
func (p *Phone) Incoming() <-chan *Incoming { return p.incoming }

// Calls lists the calls that are up now.
func (p *Phone) Calls() []*Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var up []*Call
	for _, c := range p.calls {
		if c.isUp() {
			up = append(up, c)
		}
	}
	return up
}

// Vanish(true) is the plug pulled: the phone drops every packet it gets and sends none on its own, without a word
// to anybody. Vanish(false) plugs it in again. Closing a vanished phone sends no BYE.
func (p *Phone) Vanish(gone bool) { p.gone.Store(gone) }

// filter drops what comes in while the phone is gone. Only the reader of the socket calls it.
func (p *Phone) filter(from sip.TransportReadProps, data []byte) ([]byte, error) {
	if p.gone.Load() {
		return nil, nil
	}
	p.peers.Store(from.RemoteAddr.String(), nil)
	return data, nil
}

// Close rejects what rings (480), cancels what is dialled, hangs up, unregisters, and waits for all goroutines of
// the phone. It takes at most about two seconds. Closing twice is fine.
func (p *Phone) Close() {
	p.mu.Lock()
	first := !p.closing
	p.closing = true
	var farewell []func(context.Context)
	for in := range p.ringing {
		farewell = append(farewell, func(context.Context) { _ = in.Reject(480, 0) })
	}
	for o := range p.dialing {
		farewell = append(farewell, func(ctx context.Context) {
			o.Cancel()
			select {
			case <-o.final:
			case <-ctx.Done():
			}
		})
	}
	for _, c := range p.calls {
		if c.isUp() {
			farewell = append(farewell, func(ctx context.Context) { _ = c.Hangup(ctx) })
		}
	}
	p.mu.Unlock()
	if first && !p.gone.Load() && p.ctx.Err() == nil {
		farewell = append(farewell, func(ctx context.Context) {
			if p.Registered() {
				_ = p.Unregister(ctx)
			}
		})
		ctx, cancel := context.WithTimeout(p.ctx, polite)
		var all sync.WaitGroup
		for _, say := range farewell {
			all.Go(func() { say(ctx) })
		}
		all.Wait()
		cancel()
	}
	p.shut()
	<-p.down
}

// shut stops everything at once; it does not wait.
func (p *Phone) shut() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed, p.closing = true, true
	var left []*Call
	for _, c := range p.calls {
		left = append(left, c)
	}
	p.mu.Unlock()
	p.gone.Store(true) // nothing new comes in
	p.cancel()
	for _, c := range left {
		c.end(Local, Cause{Text: "phone closed"})
	}
	p.tx.Close()
	go p.clear()
}

// clear closes the sockets once our goroutines have ended. shut starts it, Close waits.
func (p *Phone) clear() {
	defer close(p.down)
	p.wg.Wait()
	p.tx.Close() // again: for what began while shut ran
	p.bury()
	_ = p.conn.Close()
	<-p.deaf
	p.bury() // for a peer that came in between
	if p.sink != nil {
		_ = p.sink.Close()
	}
}

// bury leaves the closed socket in sipgo's pool, for all peers. A straggler among sipgo's goroutines, which nobody
// can wait for, would otherwise find none and open a new socket that nobody closes.
func (p *Phone) bury() {
	grave := &sip.UDPConnection{PacketConn: p.conn, PacketAddr: p.Addr(), Listener: true}
	pool := p.tp.Pool("udp")
	pool.Add(p.Addr(), grave)
	p.peers.Range(func(addr, _ any) bool {
		pool.Add(addr.(string), grave)
		return true
	})
}

// begin counts one more goroutine of the phone, unless it is closed. Who calls it calls wg.Done.
func (p *Phone) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	return true
}

// request sends a request in a transaction of its own.
func (p *Phone) request(ctx context.Context, req *sip.Request) (*sip.ClientTx, error) {
	if !p.begin() {
		return nil, ErrClosed
	}
	defer p.wg.Done()
	tx, err := p.tx.Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return tx, nil
}

// write sends an ACK, which has no transaction.
func (p *Phone) write(ack *sip.Request) {
	if p.begin() {
		defer p.wg.Done()
		_ = p.tp.WriteMsg(ack)
	}
}

// spawn runs f in a goroutine that Close waits for. It is false when the phone is closed.
func (p *Phone) spawn(f func()) bool {
	if !p.begin() {
		return false
	}
	go func() {
		defer p.wg.Done()
		f()
	}()
	return true
}
