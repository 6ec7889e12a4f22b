package bus

// Abandon ends a bus as a killed process would: nothing is waited for.
func (b *Bus) Abandon() { _ = b.close() }
