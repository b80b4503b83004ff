// Package api is the HTTP interface.
package api

import (
	"net/http"

	"example.org/courier/gateway/auth"
	"example.org/courier/gateway/queueclient"
	"example.org/courier/gateway/ratelimit"
)

// server holds what the handlers share.
type server struct {
	queue     *queueclient.Client
	endpoints *endpointTable
}

// NewRouter puts all routes together. Health is answered to everybody; the rest wants
// a token first and is counted against its bearer.
func NewRouter(queue *queueclient.Client, verifier *auth.Verifier, limiter *ratelimit.Limiter) http.Handler {
	s := &server{queue: queue, endpoints: newEndpointTable()}
	inner := http.NewServeMux()
	inner.HandleFunc("POST /v1/deliveries", auth.RequireScope("deliveries:write", s.createDelivery))
	inner.HandleFunc("GET /v1/deliveries", auth.RequireScope("deliveries:read", s.listDeliveries))
	inner.HandleFunc("POST /v1/deliveries/{id}/cancel", auth.RequireScope("deliveries:write", s.cancelDelivery))
	inner.HandleFunc("PUT /v1/endpoints/{name}", auth.RequireScope("endpoints:write", s.putEndpoint))
	inner.HandleFunc("GET /v1/endpoints", auth.RequireScope("endpoints:read", s.listEndpoints))
	inner.HandleFunc("DELETE /v1/endpoints/{name}", auth.RequireScope("endpoints:write", s.deleteEndpoint))

	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", s.health)
	outer.Handle("/v1/", verifier.Middleware(limiter.Middleware(inner)))
	return recoverPanics(outer)
}
