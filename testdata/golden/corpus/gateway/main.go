// Command gateway is the public face of Courier: it takes deliveries over HTTP and
// puts them into the queue.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.org/courier/gateway/api"
	"example.org/courier/gateway/auth"
	"example.org/courier/gateway/config"
	"example.org/courier/gateway/queueclient"
	"example.org/courier/gateway/ratelimit"
)

const shutdownGrace = 20 * time.Second

func main() {
	if err := run(); err != nil {
		slog.Error("gateway stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until it is told to stop, and then lets open requests end.
func run() error {
	settings, err := config.Load(os.Getenv("COURIER_CONFIG"))
	if err != nil {
		return err
	}
	queue, err := queueclient.Dial(settings.Queue.Address)
	if err != nil {
		return err
	}
	defer queue.Close()

	verifier := auth.NewVerifier([]byte(settings.Auth.Secret), settings.Auth.Leeway)
	limiter := ratelimit.NewLimiter(settings.Limit.PerSecond, settings.Limit.Burst)
	handler := api.NewRouter(queue, verifier, limiter)
	server := &http.Server{Addr: settings.Listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("gateway listening", "address", settings.Listen)

	select {
	case err := <-failed:
		if !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		return server.Shutdown(grace)
	}
}
