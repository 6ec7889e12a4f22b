// Package mailbox is an unbounded queue between goroutines: putting never blocks, so that one slow reader never holds up
// the writer, and what was put is read in order.
//
//	for {
//		select {
//		case <-box.Ready():
//			for _, m := range box.Take() { … }
//		case <-timer.C:
//		}
//	}
package mailbox

import "sync"

// Box is a queue with any number of writers and one reader. Make it with New.
type Box[T any] struct {
	mu     sync.Mutex
	items  []T
	closed bool
	ready  chan struct{}
}

// New makes an empty box.
func New[T any]() *Box[T] {
	return &Box[T]{ready: make(chan struct{}, 1)}
}

// Put adds an item and reports whether the box took it: a closed one does not.
func (b *Box[T]) Put(item T) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, item)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return true
}

// Ready receives when there may be something to Take.
func (b *Box[T]) Ready() <-chan struct{} { return b.ready }

// Take empties the box. It may return nothing.
func (b *Box[T]) Take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	return items
}

// Len is how many items wait.
func (b *Box[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// Close makes the box refuse what is put from now on, and returns what nobody took.
func (b *Box[T]) Close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	items := b.items
	b.items = nil
	return items
}
