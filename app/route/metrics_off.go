//go:build !prom

package route

// metrics stands in until go.sum has the modules that prometheus itself needs.
type metrics struct{}

func (s *Service) register(any) *metrics              { return nil }
func (m *metrics) refuse(direction string, err error) {}
