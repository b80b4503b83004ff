use std::time::Duration;

use courier_queue::backoff::Backoff;
use courier_queue::RetryPolicy;

#[test]
fn delay_doubles_up_to_the_ceiling() {
    let policy = RetryPolicy { max_attempts: 6, base: Duration::from_secs(1), ceiling: Duration::from_secs(5) };
    let delays: Vec<u64> = (1..6).filter_map(|n| policy.delay_for(n)).map(|delay| delay.as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 5, 5]);
}

#[test]
fn retry_policy_never_gives_up_after_one() {
    assert_eq!(RetryPolicy::never().delay_for(1), None);
}

#[test]
fn backoff_jitter_keeps_clients_apart() {
    let first = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed).next();
    assert_ne!(first(1), first(99));
}
