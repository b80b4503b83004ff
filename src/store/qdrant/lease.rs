//! The right to write a collection: taken, kept and lost.
//!
//! It is taken by setting fields of the head under the condition that the head is as it was
//! read, and reading back who has it. It ends by itself, so that the right of a writer that is
//! heard of no more does not last; of a process of this machine that is gone it ends at once.
//! Whoever lost it cannot commit: that too is under the condition of having it. And what it
//! wrote bears a number that the next writer declares to be none.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::head::{Head, Lease, held_by, renewing};
use super::names::draw;
use super::place::{Opened, Places};
use super::remote::Remote;
use super::scope::Scoped;
use crate::store::StoreError;

/// Who this store is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    store: String,
    host: String,
    lease: Duration,
}

impl Identity {
    pub(super) fn new(lease: Duration) -> Identity {
        Identity { store: draw(), host: this_machine(), lease }
    }

    fn draw_lease(&self) -> Lease {
        Lease {
            attempt: draw(),
            store: self.store.clone(),
            until: now() + millis(self.lease),
            host: self.host.clone(),
            pid: std::process::id(),
        }
    }

    /// Whether a lease keeps this store out.
    fn excludes(&self, lease: &Lease) -> bool {
        let is_own = lease.store == self.store;
        let is_gone = lease.host == self.host && !is_alive(lease.pid);
        !is_own && !is_gone && lease.until > now()
    }
}

/// The right to write one collection.
pub(super) struct Held<'a> {
    remote: &'a Remote,
    identity: &'a Identity,
    /// The head as it was when the right was taken.
    pub(super) opened: Opened,
    lease: Lease,
}

impl<'a> Held<'a> {
    /// Takes it, or says who has it.
    pub(super) async fn take(
        places: &'a Places,
        identity: &'a Identity,
        opened: Opened,
    ) -> Result<Held<'a>, StoreError> {
        let remote = &places.remote;
        if let Some(other) = opened.head.lease.as_ref().filter(|lease| identity.excludes(lease)) {
            return Err(locked(&opened, other));
        }
        let lease = identity.draw_lease();
        let scope = opened.head.unchanged(Scoped::head(opened.id.clone()));
        let taking = opened.head.taking(&lease);
        remote.set(&opened.physical, &scope, taking).await.map_err(|e| remote.error(e))?;
        let opened = places.reread(&opened).await?;
        let held = Held { remote, identity, opened, lease };
        held.check(&held.opened.head)?;
        Ok(held)
    }

    pub(super) fn attempt(&self) -> &str {
        &self.lease.attempt
    }

    /// Makes sure that the right lasts for another step; to be called before each.
    pub(super) async fn keep(&mut self, places: &Places) -> Result<(), StoreError> {
        if now() + millis(self.identity.lease) / 2 < self.lease.until {
            return Ok(());
        }
        self.lease.until = now() + millis(self.identity.lease);
        let scope = held_by(Scoped::head(self.opened.id.clone()), &self.lease.attempt);
        let renewed = self.remote.set(&self.opened.physical, &scope, renewing(self.lease.until)).await;
        renewed.map_err(|e| self.remote.error(e))?;
        let head = places.reread(&self.opened).await?.head;
        self.check(&head)
    }

    /// Whether it is still held by this attempt.
    fn check(&self, head: &Head) -> Result<(), StoreError> {
        match &head.lease {
            Some(held) if held.attempt == self.lease.attempt => Ok(()),
            Some(other) => Err(locked(&self.opened, other)),
            None => {
                Err(StoreError::Locked { path: PathBuf::from(&self.opened.subject), host: None, pid: None })
            }
        }
    }

    /// Sets the state of now to `next` and gives the right back, in one step. An unknown
    /// outcome is looked up.
    pub(super) async fn commit(self, places: &Places, next: &Head) -> Result<(), StoreError> {
        let scope = held_by(Scoped::head(self.opened.id.clone()), &self.lease.attempt);
        let set = self.remote.set(&self.opened.physical, &scope, Head::committing(next)).await;
        let head = match (set, places.reread(&self.opened).await) {
            (_, Ok(opened)) => opened.head,
            (Ok(()), Err(error)) => return Err(error),
            (Err(failure), Err(_)) => return Err(self.remote.error(failure)),
        };
        if head.commit == self.lease.attempt {
            return Ok(());
        }
        self.check(&head)?;
        // It still has the right, so the commit did not happen.
        Err(StoreError::Remote {
            url: self.remote.url().to_owned(),
            reason: format!("the new state of {} was not taken", self.opened.subject),
        })
    }

    /// Lets others write at once, after a failure. That what was written counts for nothing is
    /// for the next writer to declare. Without an answer, the right ends by itself.
    pub(super) async fn give_up(self) {
        let scope = held_by(Scoped::head(self.opened.id.clone()), &self.lease.attempt);
        let _ = self.remote.set(&self.opened.physical, &scope, renewing(0)).await;
    }
}

fn locked(opened: &Opened, lease: &Lease) -> StoreError {
    let host = lease.host.split('/').next().unwrap_or_default().to_owned();
    StoreError::Locked { path: PathBuf::from(&opened.subject), host: Some(host), pid: Some(lease.pid) }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

/// Name, boot and process namespace of this machine: where all are the same, process ids are.
fn this_machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{name}/{}/{}", boot.trim(), namespace.display())
}

/// Whether there is such a process. Another user's counts.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_excludes_others_until_it_ends_or_its_process_does() {
        let own = Identity::new(Duration::from_secs(60));
        let other = Identity::new(Duration::from_secs(60));
        let lease = own.draw_lease();
        assert!(!own.excludes(&lease) && other.excludes(&lease));
        assert!(!other.excludes(&Lease { until: now(), ..lease.clone() }));
        let gone = i32::MAX as u32;
        assert!(!other.excludes(&Lease { pid: gone, ..lease.clone() }));
        // On another machine the number says nothing.
        assert!(other.excludes(&Lease { pid: gone, host: "elsewhere//".to_owned(), ..lease }));
        let none = Identity::new(Duration::ZERO);
        assert!(!other.excludes(&none.draw_lease()));
    }
}
