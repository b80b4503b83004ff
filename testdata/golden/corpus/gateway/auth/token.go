// Package auth knows who is asking.
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Claims are what a token says of its bearer.
type Claims struct {
	Subject string   `json:"sub"`
	Scopes  []string `json:"scopes"`
	Expires int64    `json:"exp"`
}

// HasScope tells whether the bearer may do what scope names.
func (c Claims) HasScope(scope string) bool {
	for _, have := range c.Scopes {
		if have == scope || have == "*" {
			return true
		}
	}
	return false
}

var (
	// ErrMalformed is a token that is no token.
	ErrMalformed = errors.New("malformed token: expected two parts separated by a dot")
	// ErrSignature is a token that somebody else signed, or changed.
	ErrSignature = errors.New("token signature does not match")
)

// ExpiredError is a token that was good once.
type ExpiredError struct {
	Subject string
	Since   time.Duration
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("token of %s expired %s ago", e.Subject, e.Since.Round(time.Second))
}

// Verifier checks tokens that were signed with one secret.
type Verifier struct {
	secret []byte
	leeway time.Duration
	now    func() time.Time
}

// NewVerifier makes a verifier that forgives clocks that are off by leeway.
func NewVerifier(secret []byte, leeway time.Duration) *Verifier {
	return &Verifier{secret: secret, leeway: leeway, now: time.Now}
}

// Verify returns what the token says, if it can be believed.
func (v *Verifier) Verify(token string) (Claims, error) {
	var claims Claims
	body, signature, found := strings.Cut(token, ".")
	if !found {
		return claims, ErrMalformed
	}
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return claims, ErrMalformed
	}
	if !hmac.Equal(given, v.sum(body)) {
		return claims, ErrSignature
	}
	decoded, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return claims, ErrMalformed
	}
	if err := json.Unmarshal(decoded, &claims); err != nil {
		return claims, fmt.Errorf("token claims: %w", err)
	}
	if late := v.now().Sub(time.Unix(claims.Expires, 0)); late > v.leeway {
		return claims, &ExpiredError{Subject: claims.Subject, Since: late}
	}
	return claims, nil
}

// Issue makes a token for a subject.
func (v *Verifier) Issue(subject string, scopes []string, lifetime time.Duration) (string, error) {
	claims := Claims{Subject: subject, Scopes: scopes, Expires: v.now().Add(lifetime).Unix()}
	encoded, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	body := base64.RawURLEncoding.EncodeToString(encoded)
	return body + "." + base64.RawURLEncoding.EncodeToString(v.sum(body)), nil
}

func (v *Verifier) sum(body string) []byte {
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte(body))
	return mac.Sum(nil)
}
