// Package signing proves to receivers that a delivery came from us.
package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header is the name of the HTTP header that carries the signature.
const Header = "Courier-Signature"

// Sign returns the header's value for a body that is sent now.
func Sign(secret, body []byte, now time.Time) string {
	stamp := strconv.FormatInt(now.Unix(), 10)
	return fmt.Sprintf("t=%s,v1=%s", stamp, hex.EncodeToString(digest(secret, stamp, body)))
}

// Verify checks a header, and that it is not older than tolerance: a recorded
// delivery must not be played again.
func Verify(header string, secret, body []byte, now time.Time, tolerance time.Duration) error {
	stamp, signature, err := parse(header)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("signature timestamp %q is no number", stamp)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance {
		return fmt.Errorf("signature is %s old, at most %s is tolerated", age, tolerance)
	}
	if !hmac.Equal(signature, digest(secret, stamp, body)) {
		return fmt.Errorf("signature does not match the body")
	}
	return nil
}

// parse takes a header apart.
func parse(header string) (stamp string, signature []byte, err error) {
	for _, part := range strings.Split(header, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "t":
			stamp = value
		case "v1":
			signature, err = hex.DecodeString(value)
		}
	}
	if stamp == "" || signature == nil {
		return "", nil, fmt.Errorf("signature header %q lacks t or v1", header)
	}
	return stamp, signature, err
}

func digest(secret []byte, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
