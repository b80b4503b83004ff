package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

func badRequest(field, detail string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Title: "invalid request", Field: field, Detail: fmt.Sprintf("%s %s", field, detail)}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Error("response could not be written", "error", err)
	}
}

// writeError answers a problem; what is not one is logged and told as an internal error.
func writeError(w http.ResponseWriter, err error) {
	var problem *Problem
	if !errors.As(err, &problem) {
		slog.Error("request failed", "error", err)
		problem = &Problem{Status: http.StatusInternalServerError, Title: "internal error"}
	}
	writeJSON(w, problem.Status, problem)
}

// recoverPanics keeps one bad request from ending the process.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if value := recover(); value != nil {
				slog.Error("handler panicked", "value", value, "stack", string(debug.Stack()))
				writeError(w, fmt.Errorf("panic: %v", value))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
