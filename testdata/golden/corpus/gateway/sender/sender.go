// Package sender carries deliveries to their endpoints.
package sender

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"example.org/courier/gateway/signing"
)

// Sender posts bodies to URLs.
type Sender struct {
	client *http.Client
	policy RetryPolicy
}

// StatusError is an answer that was not a success.
type StatusError struct {
	URL    string
	Status int
	Body   string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("endpoint %s answered %d: %s", e.URL, e.Status, e.Body)
}

// New makes a sender that follows no redirects: a receiver must not lead us elsewhere.
func New(timeout time.Duration, policy RetryPolicy) *Sender {
	client := &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Sender{client: client, policy: policy}
}

// Deliver posts the body, signed, until the endpoint takes it or the policy is at its end.
func (s *Sender) Deliver(ctx context.Context, url string, secret, body []byte) error {
	return s.policy.Do(ctx, func(attempt int) error {
		err := s.post(ctx, url, secret, body)
		if err != nil {
			slog.Info("delivery attempt failed", "url", url, "attempt", attempt, "error", err)
		}
		return err
	})
}

func (s *Sender) post(ctx context.Context, url string, secret, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(signing.Header, signing.Sign(secret, body, time.Now()))
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		excerpt, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		return &StatusError{URL: url, Status: response.StatusCode, Body: string(excerpt)}
	}
	return nil
}
