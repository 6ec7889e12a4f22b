package kernel

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/kernel/db"
)

// Registerer takes metrics; their names begin with cc_.
type Registerer = prometheus.Registerer

// registerMetrics offers how the kit itself is doing.
func (k *Kit) registerMetrics() error {
	if k.Metrics == nil {
		k.Metrics = prometheus.NewRegistry()
	}
	return k.Metrics.Register(&collector{k})
}

// collector asks the kit's parts when metrics are read, 2 s at most.
type collector struct{ k *Kit }

// desc describes a metric of the kit.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cc_"+name, help, labels, nil)
}

// The kit's metrics.
var (
	dbOpen      = desc("db_connections_open", "Connections to the database")
	dbInUse     = desc("db_connections_in_use", "Connections that run a statement or a transaction")
	dbWaits     = desc("db_connection_waits_total", "How often a statement waited for a connection")
	dbWaited    = desc("db_connection_wait_seconds_total", "How long statements waited for a connection")
	busQueued   = desc("bus_queued", "Events and values that are not stored yet")
	busStored   = desc("bus_stored_total", "Events and values stored")
	busRetries  = desc("bus_retries_total", "Attempts to store that failed")
	busDropped  = desc("bus_dropped_total", "Events and values that were too large to store")
	busJournal  = desc("bus_journal_bytes", "Size of the journal of what is not stored yet")
	consumerLag = desc("bus_consumer_lag", "Events a consumer has still to handle, at most", "consumer")
	outboxDepth = desc("outbox_depth", "Rows that wait in the outbox")
	outboxTotal = desc("outbox_carried_total", "Rows this node has carried")
	jobsWaiting = desc("jobs_waiting", "Jobs that wait", "kind")
	jobsRunning = desc("jobs_running", "Jobs that run on this node", "kind")
	jobsEnded   = desc("jobs_ended_total", "Attempts of jobs on this node, by how they ended", "kind", "result")
	liveClients = desc("live_clients", "Clients of the event stream")
	liveSent    = desc("live_sent_total", "Events sent to clients")
	liveSlow    = desc("live_slow_total", "Clients disconnected because they were too slow")
	filesFree   = desc("files_free_bytes", "Room left for files")
	filesTotal  = desc("files_total_bytes", "Room for files in all")
	allMetrics  = []*prometheus.Desc{dbOpen, dbInUse, dbWaits, dbWaited, busQueued, busStored, busRetries, busDropped, busJournal,
		consumerLag, outboxDepth, outboxTotal, jobsWaiting, jobsRunning, jobsEnded, liveClients, liveSent, liveSlow, filesFree, filesTotal}
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allMetrics {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What cannot be asked just now is left out.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	s := db.Stats(c.k.DB)
	gauge(dbOpen, float64(s.OpenConnections))
	gauge(dbInUse, float64(s.InUse))
	count(dbWaits, float64(s.WaitCount))
	count(dbWaited, s.WaitDuration.Seconds())
	b := c.k.Bus.Stats()
	gauge(busQueued, float64(b.Queued))
	count(busStored, float64(b.Stored))
	count(busRetries, float64(b.Retries))
	count(busDropped, float64(b.Dropped))
	gauge(busJournal, float64(b.Journal))
	for _, name := range c.k.Bus.Consumers() {
		if n, err := c.k.Bus.Lag(ctx, name); err == nil {
			gauge(consumerLag, float64(n), name)
		}
	}
	if n, err := c.k.Outbox.Depth(ctx); err == nil {
		gauge(outboxDepth, float64(n))
	}
	count(outboxTotal, float64(c.k.Outbox.Carried()))
	for _, j := range c.k.Jobs.Stats(ctx) {
		if j.Waiting >= 0 {
			gauge(jobsWaiting, float64(j.Waiting), j.Kind)
		}
		gauge(jobsRunning, float64(j.Running), j.Kind)
		count(jobsEnded, float64(j.Done), j.Kind, "done")
		count(jobsEnded, float64(j.Retried), j.Kind, "retried")
		count(jobsEnded, float64(j.Failed), j.Kind, "failed")
	}
	l := c.k.Live.Stats()
	gauge(liveClients, float64(l.Clients))
	count(liveSent, float64(l.Sent))
	count(liveSlow, float64(l.Slow))
	if free, total, err := c.k.Files.Free(ctx); err == nil && total >= 0 {
		gauge(filesFree, float64(free))
		gauge(filesTotal, float64(total))
	}
}
