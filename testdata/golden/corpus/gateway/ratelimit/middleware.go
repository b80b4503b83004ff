package ratelimit

import (
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"example.org/courier/gateway/auth"
)

// Middleware answers 429 to clients that ask too often.
func (l *Limiter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed, wait := l.Allow(clientKey(r), time.Now())
		if !allowed {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// clientKey tells clients apart: by who they are, or else by where they come from.
func clientKey(r *http.Request) string {
	if claims, ok := auth.FromContext(r.Context()); ok {
		return "subject:" + claims.Subject
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "remote:" + r.RemoteAddr
	}
	return "remote:" + host
}
