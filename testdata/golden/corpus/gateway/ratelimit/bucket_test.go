package ratelimit

import (
	"testing"
	"time"
)

func TestBurstThenSteadyRate(t *testing.T) {
	limiter := NewLimiter(1, 3)
	now := time.Unix(0, 0)
	for i := 0; i < 3; i++ {
		if ok, _ := limiter.Allow("ada", now); !ok {
			t.Fatalf("request %d of the burst was refused", i)
		}
	}
	ok, wait := limiter.Allow("ada", now)
	if ok || wait != time.Second {
		t.Errorf("allowed %v, wait %v", ok, wait)
	}
	if ok, _ := limiter.Allow("ada", now.Add(time.Second)); !ok {
		t.Error("a token should be back after a second")
	}
}

func TestSweepForgetsIdleClients(t *testing.T) {
	limiter := NewLimiter(1, 3)
	limiter.Allow("ada", time.Unix(0, 0))
	if swept := limiter.Sweep(time.Unix(10, 0)); swept != 1 {
		t.Errorf("swept %d", swept)
	}
}
