//! Tokens, as far as they may be shown.

use serde::{Deserialize, Serialize};

use super::Place;

/// A token, by everything but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Names it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `read`, `write` or `admin`.
    pub role: String,
    /// Paths of this machine's projects that it is for; `None` means all that are registered, or
    /// that it is a member's.
    pub projects: Option<Vec<Place>>,
    /// Whose member it is for; `None` where it is for this machine's person.
    pub member: Option<TokenMember>,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// Seconds since the epoch; `None` means never.
    pub expires_at: Option<u64>,
    /// Itself, the one time that it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A member of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMember {
    /// The organisation.
    pub organisation: String,
    /// The team.
    pub team: String,
    /// The project.
    pub project: String,
    /// The person.
    pub user: String,
}
