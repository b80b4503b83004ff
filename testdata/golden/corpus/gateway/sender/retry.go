package sender

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// RetryPolicy says how often a delivery is tried within one run of the sender. What
// fails for good goes back to the queue, which has a policy of its own.
type RetryPolicy struct {
	Attempts int
	Pause    time.Duration
}

// Do calls act until it succeeds, fails for good, or the attempts are used up.
func (p RetryPolicy) Do(ctx context.Context, act func(attempt int) error) error {
	pause := p.Pause
	var last error
	for attempt := 1; attempt <= p.Attempts; attempt++ {
		last = act(attempt)
		if last == nil || !IsRetryable(last) {
			return last
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause *= 2
	}
	return fmt.Errorf("gave up after %d attempts: %w", p.Attempts, last)
}

// IsRetryable tells passing trouble from answers that will not change.
func IsRetryable(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Status == http.StatusTooManyRequests || status.Status >= 500
	}
	return !errors.Is(err, context.Canceled)
}
