//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/hours"
	"callplane/app/sandbox/sipphone"
)

// Six service codes share one trunk, and each greets with its own words; a rule leads callers of another trunk, or of certain
// hours, elsewhere.
//
//
func TestServices(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	greet := func(name, words string) string {
		return string(c.flow(name, "welcome: {text: "+words+"}\nthen: {hangup: true}\n"))
	}
	type service struct{ dialled, words, name string }
	var services []service
	for i, what := range []string{"请说出您要找的单位。", "报修请留下您的地址。", "水费可以在网上缴纳。", "投诉将在三天内答复。", "预约时间为每天上午。", "查询区号请按地名拨打。"} {
		s := service{words: what, name: fmt.Sprintf("Service %d", i)}
		s.dialled, _ = c.newNumber()
		if i < 2 { // short codes, as they are dialled
			s.dialled = fmt.Sprintf("955%02d%d", c.no%100, i)
		}
		c.number2(s.dialled, greet(s.name, s.words), object{"service": s.name})
		services = append(services, s)
	}
	// One number, three ways: by trunk, by time, and otherwise.
	other := newCarrier(t, c, fmt.Sprintf("127.77.%d.2", c.no), sipphone.Config{})
	line := c.trunk("other", other, nil)
	shut := c.calendar("never", nil)
	always := c.calendar("always", []object{{"days": []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, "from": "00:00", "to": "24:00"}})
	const byTrunk, night, day = "这是专线。", "现在是夜间。", "现在是白天。"
	dark, _ := c.newNumber()
	c.number2(dark, greet("usual", "不应该听到。"), object{"service": "Dark", "rules": []object{
		{"trunk": line.Name, "flow": greet("line", byTrunk)},
		{"calendar": shut, "when": "closed", "flow": greet("night", night)},
	}})
	light, _ := c.newNumber()
	c.number2(light, greet("usual2", "也不应该听到。"), object{"service": "Light", "rules": []object{
		{"calendar": always, "when": "closed", "flow": greet("night2", night)},
		{"calendar": always, "when": "open", "flow": greet("day", day)},
	}})
	services = append(services, service{dark, night, "Dark"}, service{light, day, "Light"})

	var wg sync.WaitGroup
	check := func(s service, p *Party) {
		finds(t, s.name, p.Ear(), 0, text(t, s.words), 15*time.Second)
		for _, o := range services {
			if o.words != s.words {
				never(t, s.name+": "+o.name, p.Ear().Audio(), text(t, o.words))
			}
		}
		if r := c.row(p.ID).Call; r.Service != s.name || r.Trunk == "" {
			t.Errorf("%s: the row says %q on %q", s.name, r.Service, r.Trunk)
		}
	}
	for _, s := range services {
		wg.Go(func() { check(s, c.calls(s.dialled)) })
	}
	wg.Wait()
	mine := c.Far
	c.Far = other
	check(service{dark, byTrunk, "Dark"}, c.calls(dark))
	c.Far = mine
}

// calendar makes a calendar.
func (c *Centre) calendar(name string, weekly []object) hours.ID {
	c.t.Helper()
	plan := object{"time_zone": "Asia/Shanghai", "weekly": weekly}
	return post[hours.View](c.t, c.Admin, "/hours/calendars", object{"unit": c.Unit, "name": c.name(name), "plan": plan}).ID
}

// number2 makes a certain number.
func (c *Centre) number2(number, flow string, more object) {
	c.t.Helper()
	body := object{"unit": c.Unit, "number": number, "flow": flow}
	for k, v := range more {
		body[k] = v
	}
	c.Admin.do(c.t, "POST", "/route/numbers", body, nil)
}

// One number in five notations is one customer; without a number the call is served all the same.
//
//
func TestCallerNumber(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	const words = "您好，感谢您的来电，我们马上为您服务。"
	number := c.number(c.flow("hello", "welcome: {text: "+words+"}\nthen: {hangup: true}\n"), nil)
	_, tail, _ := strings.Cut(c.mobile(1), "138")
	want := "+86138" + tail
	var customer string
	for i, raw := range []string{"138" + tail, "0138" + tail, "+86138" + tail, "0086138" + tail, "86138" + tail, ""} {
		opt := sipphone.From(raw, "")
		if raw == "" {
			opt = sipphone.Anonymous()
		}
		from := c.Feed.mark()
		p, err := c.Far.Call(within(t, 10*time.Second), number, opt)
		if err != nil {
			t.Fatalf("from %q: %v", raw, err)
		}
		e := c.Feed.wait(t, from, 5*time.Second, "arrival of "+raw, func(e Event) bool {
			return e.Type == "call.arrived" && e.told().Trunk == c.Line.Name
		})
		waitFor(t, "end", p.Done())
		finds(t, "the welcome", p.Ear(), 0, text(t, words), time.Second)
		r := c.row(e.told().ID).Call
		if raw == "" {
			if !r.Withheld || r.FromNumber != "" || r.CustomerID != "" {
				t.Errorf("anonymous: withheld %t, number %q, customer %q", r.Withheld, r.FromNumber, r.CustomerID)
			}
			continue
		}
		if r.FromNumber != want || r.FromRaw != raw || r.Withheld {
			t.Errorf("from %q: the row says %q, raw %q, withheld %t; want %q", raw, r.FromNumber, r.FromRaw, r.Withheld, want)
		}
		if i == 0 {
			customer = r.CustomerID
		}
		if r.CustomerID == "" || r.CustomerID != customer {
			t.Errorf("from %q: customer %q, want %q", raw, r.CustomerID, customer)
		}
	}
}
