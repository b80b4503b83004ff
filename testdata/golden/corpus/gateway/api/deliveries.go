package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.org/courier/gateway/queueclient"
)

// maxBody bounds what a request may carry.
const maxBody = 1 << 20

// Delivery is a message on its way to an endpoint.
type Delivery struct {
	ID        string          `json:"id"`
	Endpoint  string          `json:"endpoint"`
	Payload   json.RawMessage `json:"payload"`
	NotBefore *time.Time      `json:"not_before,omitempty"`
	Status    string          `json:"status"`
}

// validate says what is wrong with a delivery before it is queued.
func (d *Delivery) validate(known func(string) bool, now time.Time) error {
	switch {
	case d.Endpoint == "":
		return badRequest("endpoint", "is required")
	case !known(d.Endpoint):
		return badRequest("endpoint", fmt.Sprintf("%q is not registered", d.Endpoint))
	case len(d.Payload) == 0:
		return badRequest("payload", "is required")
	case d.NotBefore != nil && d.NotBefore.After(now.AddDate(0, 1, 0)):
		return badRequest("not_before", "is more than a month ahead")
	}
	return nil
}

// createDelivery queues a message and answers 202 with its id.
func (s *server) createDelivery(w http.ResponseWriter, r *http.Request) {
	var delivery Delivery
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&delivery); err != nil {
		writeError(w, badRequest("body", err.Error()))
		return
	}
	if err := delivery.validate(s.endpoints.has, time.Now()); err != nil {
		writeError(w, err)
		return
	}
	encoded, err := json.Marshal(delivery)
	if err != nil {
		writeError(w, err)
		return
	}
	id, err := s.queue.Push("delivery", encoded)
	if errors.Is(err, queueclient.ErrQueueFull) {
		w.Header().Set("Retry-After", "5")
		writeError(w, &Problem{Status: http.StatusServiceUnavailable, Title: "queue is full"})
		return
	}
	if err != nil {
		writeError(w, err)
		return
	}
	delivery.ID, delivery.Status = id, "queued"
	writeJSON(w, http.StatusAccepted, delivery)
}

// listDeliveries answers a page of deliveries, the newest first.
func (s *server) listDeliveries(w http.ResponseWriter, r *http.Request) {
	cursor, limit, err := pageOf(r)
	if err != nil {
		writeError(w, err)
		return
	}
	page, err := s.queue.List(cursor.After, limit)
	if err != nil {
		writeError(w, err)
		return
	}
	answer := map[string]any{"items": page}
	if len(page) == limit {
		answer["next"] = Cursor{After: page[len(page)-1]}.String()
	}
	writeJSON(w, http.StatusOK, answer)
}

// cancelDelivery takes a message back, if it has not been sent yet.
func (s *server) cancelDelivery(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := s.queue.Complete(id); err != nil {
		writeError(w, &Problem{Status: http.StatusConflict, Title: "delivery cannot be cancelled", Detail: err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
