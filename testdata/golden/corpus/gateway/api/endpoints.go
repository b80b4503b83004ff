package api

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"sort"
	"sync"
)

// Endpoint is a place that deliveries go to.
type Endpoint struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"`
}

type endpointTable struct {
	mu     sync.RWMutex
	byName map[string]Endpoint
}

func newEndpointTable() *endpointTable {
	return &endpointTable{byName: map[string]Endpoint{}}
}

func (t *endpointTable) has(name string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.byName[name]
	return ok
}

// checkURL refuses addresses inside our own network, which a stranger must not make us call.
func checkURL(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" {
		return badRequest("url", "is not an absolute URL")
	}
	if parsed.Scheme != "https" {
		return badRequest("url", "must use https")
	}
	if ip := net.ParseIP(parsed.Hostname()); ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()) {
		return badRequest("url", "points into a private network")
	}
	return nil
}

func (s *server) putEndpoint(w http.ResponseWriter, r *http.Request) {
	endpoint := Endpoint{Name: r.PathValue("name")}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&endpoint); err != nil {
		writeError(w, badRequest("body", err.Error()))
		return
	}
	if err := checkURL(endpoint.URL); err != nil {
		writeError(w, err)
		return
	}
	s.endpoints.mu.Lock()
	s.endpoints.byName[endpoint.Name] = endpoint
	s.endpoints.mu.Unlock()
	endpoint.Secret = ""
	writeJSON(w, http.StatusOK, endpoint)
}

func (s *server) listEndpoints(w http.ResponseWriter, _ *http.Request) {
	s.endpoints.mu.RLock()
	defer s.endpoints.mu.RUnlock()
	all := make([]Endpoint, 0, len(s.endpoints.byName))
	for _, endpoint := range s.endpoints.byName {
		endpoint.Secret = ""
		all = append(all, endpoint)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	writeJSON(w, http.StatusOK, all)
}

func (s *server) deleteEndpoint(w http.ResponseWriter, r *http.Request) {
	s.endpoints.mu.Lock()
	delete(s.endpoints.byName, r.PathValue("name"))
	s.endpoints.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}
