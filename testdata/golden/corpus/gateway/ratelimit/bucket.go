// Package ratelimit keeps one client from using up what is there for all.
package ratelimit

import (
	"sync"
	"time"
)

// Bucket holds tokens that come back at a steady rate.
type Bucket struct {
	tokens   float64
	capacity float64
	rate     float64
	last     time.Time
}

// Take removes a token; when there is none, it tells how long until there is.
func (b *Bucket) Take(now time.Time) (bool, time.Duration) {
	b.tokens = min(b.capacity, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return true, 0
	}
	missing := (1 - b.tokens) / b.rate
	return false, time.Duration(missing * float64(time.Second))
}

// Limiter has a bucket for every client.
type Limiter struct {
	mu      sync.Mutex
	buckets map[string]*Bucket
	rate    float64
	burst   float64
}

// NewLimiter allows perSecond requests in the long run, and burst at once.
func NewLimiter(perSecond float64, burst int) *Limiter {
	return &Limiter{buckets: map[string]*Bucket{}, rate: perSecond, burst: float64(burst)}
}

// Allow takes a token from the bucket of client.
func (l *Limiter) Allow(client string, now time.Time) (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.buckets[client]
	if !ok {
		bucket = &Bucket{tokens: l.burst, capacity: l.burst, rate: l.rate, last: now}
		l.buckets[client] = bucket
	}
	return bucket.Take(now)
}

// Sweep forgets clients that have not been seen for so long that their buckets are full.
func (l *Limiter) Sweep(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	swept := 0
	for client, bucket := range l.buckets {
		if now.Sub(bucket.last).Seconds()*l.rate >= l.burst {
			delete(l.buckets, client)
			swept++
		}
	}
	return swept
}
