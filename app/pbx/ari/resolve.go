package ari

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"callplane/app/pbx"
)

// resolveLimit is how long all names of trunks together may take.
const resolveLimit = 3 * time.Second

// resolve puts addresses in the place of names: a trunk without From takes calls from its Host, and of several addresses
// of a name Asterisk would keep one. A name that is not found is left to Asterisk.
func resolve(ctx context.Context, lines pbx.Lines) pbx.Lines {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	lines.Trunks = slices.Clone(lines.Trunks)
	var wg sync.WaitGroup
	for i := range lines.Trunks {
		t := &lines.Trunks[i]
		host, _, ok := splitHost(t.Host)
		if _, err := netip.ParseAddr(host); !ok || err == nil || len(t.From) > 0 {
			continue
		}
		wg.Go(func() {
			found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			if err != nil {
				return
			}
			for _, a := range found {
				t.From = append(t.From, a.Unmap().String())
			}
			slices.Sort(t.From)
			t.From = slices.Compact(t.From)
		})
	}
	wg.Wait()
	return lines
}
