// Package config reads the gateway's settings from a YAML file and the environment.
package config

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Settings are all that can be set.
type Settings struct {
	Listen string
	Queue  QueueSettings
	Auth   AuthSettings
	Limit  LimitSettings
}

// QueueSettings say where the queue is.
type QueueSettings struct {
	Address string
}

// AuthSettings hold the secret that access tokens are signed with.
type AuthSettings struct {
	Secret string
	Leeway time.Duration
}

// LimitSettings bound what one client may ask.
type LimitSettings struct {
	PerSecond float64
	Burst     int
}

// ErrNoSecret is returned when nothing is configured to sign tokens with.
var ErrNoSecret = errors.New("auth.secret is empty: set it in the file or in COURIER_AUTH_SECRET")

func defaults() Settings {
	return Settings{
		Listen: ":8080",
		Queue:  QueueSettings{Address: "127.0.0.1:7411"},
		Auth:   AuthSettings{Leeway: 30 * time.Second},
		Limit:  LimitSettings{PerSecond: 20, Burst: 40},
	}
}

// Load reads the file at path over the defaults, and the environment over both.
func Load(path string) (*Settings, error) {
	settings := defaults()
	if path != "" {
		pairs, err := readPairs(path)
		if err != nil {
			return nil, err
		}
		for key, value := range pairs {
			if err := settings.set(key, value); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	overlayEnvironment(&settings)
	if settings.Auth.Secret == "" {
		return nil, ErrNoSecret
	}
	return &settings, nil
}

// overlayEnvironment lets variables win over the file, as containers expect.
func overlayEnvironment(settings *Settings) {
	if value, ok := os.LookupEnv("COURIER_LISTEN"); ok {
		settings.Listen = value
	}
	if value, ok := os.LookupEnv("COURIER_AUTH_SECRET"); ok {
		settings.Auth.Secret = value
	}
	if value, ok := os.LookupEnv("COURIER_QUEUE_ADDRESS"); ok {
		settings.Queue.Address = value
	}
}

func (s *Settings) set(key, value string) (err error) {
	switch key {
	case "listen":
		s.Listen = value
	case "queue.address":
		s.Queue.Address = value
	case "auth.secret":
		s.Auth.Secret = value
	case "auth.leeway":
		s.Auth.Leeway, err = time.ParseDuration(value)
	case "limit.per_second":
		s.Limit.PerSecond, err = strconv.ParseFloat(value, 64)
	case "limit.burst":
		s.Limit.Burst, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("unknown setting %q", key)
	}
	if err != nil {
		return fmt.Errorf("setting %q: %w", key, err)
	}
	return nil
}

// readPairs flattens two levels of YAML into dotted keys.
func readPairs(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pairs := map[string]string{}
	section := ""
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found {
			return nil, fmt.Errorf("%s:%d: expected key: value", path, number)
		}
		if value = strings.Trim(strings.TrimSpace(value), `"`); value == "" {
			section = key + "."
			continue
		}
		if !strings.HasPrefix(line, " ") {
			section = ""
		}
		pairs[section+key] = value
	}
	return pairs, lines.Err()
}
