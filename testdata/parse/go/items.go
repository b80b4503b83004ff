// Package store keeps things.
package store

import "fmt"

// MaxSize is the limit.
const MaxSize = 10

const (
	A = iota
	B
)

var ErrGone = fmt.Errorf("gone")

var (
	// Default store.
	Default = New()
	other   int
)

// Store keeps items.
type Store[T any] struct {
	items map[string]T
}

type (
	// Key names an item.
	Key string
	Getter interface {
		Get(key Key) (string, error)
	}
)

type Alias = Store[int]

// New makes a store.
func New() *Store[int] {
	local := func() int { return 1 }
	return &Store[int]{}
}

// Get finds an item.
//
//nolint:all
func (s *Store[T]) Get(key Key) (T, error) {
	return s.items[string(key)], nil
}

func (Key) Empty() bool { return false }
