package auth

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
)

type claimsKey struct{}

// FromContext returns the claims of the request that ctx belongs to.
func FromContext(ctx context.Context) (Claims, bool) {
	claims, ok := ctx.Value(claimsKey{}).(Claims)
	return claims, ok
}

// Middleware lets only requests with a good bearer token pass.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found {
			w.Header().Set("WWW-Authenticate", `Bearer realm="courier"`)
			http.Error(w, "missing bearer token", http.StatusUnauthorized)
			return
		}
		claims, err := v.Verify(token)
		if err != nil {
			slog.Warn("request refused", "path", r.URL.Path, "remote", r.RemoteAddr, "error", err)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
	})
}

// RequireScope lets only those pass whose token holds scope.
func RequireScope(scope string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		claims, ok := FromContext(r.Context())
		if !ok || !claims.HasScope(scope) {
			http.Error(w, "token lacks scope "+scope, http.StatusForbidden)
			return
		}
		next(w, r)
	}
}
