//! Who knocks: tokens, and the session that one of them opens.
//!
//! A person makes a token at the command line; of it a hash is kept, in `tokens.json` of
//! the data directory. Whoever presents the token at a door gets a [`Session`], which says
//! whose data may be seen and with which role, and which nothing can change: it is the
//! only way from a request to a [`TenantContext`]. A file that cannot be read lets nobody
//! in. Must not know a protocol, nor log what was presented.

mod file;
mod secret;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use secret::{PREFIX, Token};
pub use tokens::{Refused, Tokens, TokensError, create, list, revoke};

use crate::tenant::{MachineOwner, Member, Role, TenantContext, TenantError};

/// Whose data a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The machine's own person, in all of its projects or in these alone, by the paths that
    /// name them ([`crate::git::project_path`]).
    Machine {
        /// `None` means all that are registered.
        projects: Option<BTreeSet<PathBuf>>,
    },
    /// A member of an organisation.
    Member(Member),
}

/// A token as it is kept: everything but itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Names it: hexadecimal digits.
    pub id: String,
    /// What people call it; no two have the same.
    pub name: String,
    /// BLAKE3 of the token.
    hash: [u8; 32],
    /// What it allows.
    pub role: Role,
    /// Whose data.
    pub reach: Reach,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// Seconds since the epoch; `None` means never.
    pub expires_at: Option<u64>,
}

/// What a token is made with.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Whose data.
    pub reach: Reach,
    /// Seconds since the epoch; `None` means never.
    pub expires_at: Option<u64>,
}

/// Who asks, as a token says it. Made where a request enters, and never changed.
#[derive(Clone, Debug)]
pub struct Session {
    record: Arc<TokenRecord>,
}

impl Session {
    fn new(record: Arc<TokenRecord>) -> Session {
        Session { record }
    }

    /// The token's id: may be logged.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// What it may do.
    pub fn role(&self) -> Role {
        self.record.role
    }

    /// Whether it is for all that is registered on this machine.
    pub fn sees_the_machine(&self) -> bool {
        matches!(self.record.reach, Reach::Machine { projects: None })
    }

    /// Whether it may see the project of this machine with this path.
    pub fn sees(&self, project: &Path) -> bool {
        match &self.record.reach {
            Reach::Machine { projects: None } => true,
            Reach::Machine { projects: Some(projects) } => projects.contains(project),
            Reach::Member(_) => false,
        }
    }

    /// The tenant of a project of this machine; `None` where the session may not see it.
    pub fn tenant(&self, project: &Path) -> Option<Result<TenantContext, TenantError>> {
        let local = || Ok(TenantContext::local(project)?.at_most(self.role()));
        self.sees(project).then(local)
    }

    /// The tenant for what projects share: the organisation's, or this machine's.
    pub fn shared(&self) -> Result<TenantContext, TenantError> {
        match &self.record.reach {
            // All projects of a machine share the same, whichever is named.
            Reach::Machine { .. } => Ok(TenantContext::local(Path::new("/"))?.at_most(self.role())),
            Reach::Member(member) => TenantContext::member(member.clone(), self.role()),
        }
    }

    /// The right to all databases: of the machine's person as an administrator of everything.
    pub fn owner(&self) -> Option<MachineOwner> {
        (self.sees_the_machine() && self.role() == Role::Admin).then(MachineOwner::by_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DatabaseName, ProjectName, TeamName, UserName};

    fn session(reach: Reach, role: Role) -> Session {
        Session::new(Arc::new(TokenRecord {
            id: "0".into(),
            name: "n".into(),
            hash: [0; 32],
            role,
            reach,
            created_at: 0,
            expires_at: None,
        }))
    }

    pub(super) fn member() -> Reach {
        Reach::Member(Member {
            organisation: DatabaseName::new("acme").unwrap(),
            team: TeamName::new("core").unwrap(),
            project: ProjectName::new("demo").unwrap(),
            user: UserName::new("ada").unwrap(),
        })
    }

    #[test]
    fn a_session_sees_what_its_token_says_and_no_more() {
        let (mine, other) = (Path::new("/src/mine/.git"), Path::new("/src/other/.git"));
        let some = Reach::Machine { projects: Some(BTreeSet::from([mine.to_owned()])) };
        let all = Reach::Machine { projects: None };
        for role in Role::ALL {
            for (reach, sees_mine, sees_other, owns) in
                [(&all, true, true, true), (&some, true, false, false), (&member(), false, false, false)]
            {
                let session = session(reach.clone(), role);
                assert_eq!((session.sees(mine), session.sees(other)), (sees_mine, sees_other), "{reach:?}");
                let tenant = session.tenant(mine);
                assert_eq!(tenant.map(|tenant| tenant.unwrap().role()), sees_mine.then_some(role));
                assert!(session.tenant(other).is_some() == sees_other);
                assert_eq!(session.shared().unwrap().role(), role);
                assert_eq!(session.owner().is_some(), owns && role == Role::Admin, "{reach:?} {role:?}");
            }
        }
    }
}
