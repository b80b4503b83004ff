package api

import (
	"net/http"
	"time"
)

var started = time.Now()

// health tells a load balancer whether requests should come here.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	state := map[string]any{"uptime_seconds": int(time.Since(started).Seconds()), "queue": "up"}
	if err := s.queue.Ping(); err != nil {
		state["queue"] = err.Error()
		writeJSON(w, http.StatusServiceUnavailable, state)
		return
	}
	writeJSON(w, http.StatusOK, state)
}
