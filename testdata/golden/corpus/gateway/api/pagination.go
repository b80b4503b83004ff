package api

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

const (
	defaultPage = 50
	largestPage = 200
)

// Cursor marks where the last page ended. Clients pass it back without reading it.
type Cursor struct {
	After string
}

// String encodes the cursor for a URL.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte("v1:" + c.After))
}

// ParseCursor is the inverse of Cursor.String.
func ParseCursor(text string) (Cursor, error) {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Cursor{}, badRequest("cursor", "was not made by this server")
	}
	after, found := strings.CutPrefix(string(decoded), "v1:")
	if !found {
		return Cursor{}, badRequest("cursor", "was not made by this server")
	}
	return Cursor{After: after}, nil
}

// pageOf reads the cursor and the page size of a request.
func pageOf(r *http.Request) (cursor Cursor, limit int, err error) {
	limit = defaultPage
	if text := r.URL.Query().Get("limit"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > largestPage {
			return cursor, 0, badRequest("limit", "must be between 1 and 200")
		}
	}
	if text := r.URL.Query().Get("cursor"); text != "" {
		cursor, err = ParseCursor(text)
	}
	return cursor, limit, err
}
