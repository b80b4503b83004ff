package auth

import (
	"errors"
	"testing"
	"time"
)

func TestIssuedTokenVerifies(t *testing.T) {
	verifier := NewVerifier([]byte("secret"), 0)
	token, err := verifier.Issue("ada", []string{"deliveries:write"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(token)
	if err != nil || claims.Subject != "ada" || !claims.HasScope("deliveries:write") {
		t.Errorf("claims %+v, error %v", claims, err)
	}
}

func TestExpiredTokenIsRefused(t *testing.T) {
	verifier := NewVerifier([]byte("secret"), 10*time.Second)
	token, _ := verifier.Issue("ada", nil, time.Minute)
	verifier.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	var expired *ExpiredError
	if _, err := verifier.Verify(token); !errors.As(err, &expired) {
		t.Errorf("got %v", err)
	}
}

func TestForeignSignature(t *testing.T) {
	token, _ := NewVerifier([]byte("theirs"), 0).Issue("eve", nil, time.Minute)
	if _, err := NewVerifier([]byte("ours"), 0).Verify(token); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v", err)
	}
}
