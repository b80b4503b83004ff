// Package backoff retries operations with growing pauses.
package backoff

import (
	"errors"
	"math/rand"
	"time"
)

// ErrGaveUp is returned when all attempts have failed.
var ErrGaveUp = errors.New("backoff: gave up")

// Exponential is a backoff whose pauses double.
type Exponential struct {
	Initial time.Duration
	Max     time.Duration
	Retries int
}

// NextPause returns the pause before the given attempt, with jitter.
func (e Exponential) NextPause(attempt int) time.Duration {
	pause := e.Initial << attempt
	if pause > e.Max || pause <= 0 {
		pause = e.Max
	}
	return pause/2 + time.Duration(rand.Int63n(int64(pause/2)+1))
}

// Retry calls operation until it succeeds or the retries are used up.
func (e Exponential) Retry(operation func() error) error {
	for attempt := 0; attempt <= e.Retries; attempt++ {
		if err := operation(); err == nil {
			return nil
		}
		time.Sleep(e.NextPause(attempt))
	}
	return ErrGaveUp
}
