package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileOverDefaults(t *testing.T) {
	settings, err := Load(write(t, "listen: \":9090\"\nauth:\n  secret: abc\nlimit:\n  burst: 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	if settings.Listen != ":9090" || settings.Limit.Burst != 7 {
		t.Errorf("got %+v", settings)
	}
}

func TestEnvironmentWins(t *testing.T) {
	t.Setenv("COURIER_AUTH_SECRET", "from-environment")
	settings, err := Load(write(t, "auth:\n  secret: from-file\n"))
	if err != nil {
		t.Fatal(err)
	}
	if settings.Auth.Secret != "from-environment" {
		t.Errorf("got %q", settings.Auth.Secret)
	}
}

func TestMissingSecretIsRefused(t *testing.T) {
	if _, err := Load(write(t, "listen: \":1\"\n")); !errors.Is(err, ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}
