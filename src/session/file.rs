//! The tokens of a data directory as JSON.
//!
//! Format 1: `version`, `tokens`. A path is a string, or `{"hex": "…"}` where it is not
//! UTF-8.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Reach, TokenRecord};
use crate::id::{DatabaseName, InvalidName, ProjectName, TeamName, UserName, decode_hex, encode_hex};
use crate::tenant::{Member, Role};
use crate::wire::Place;

/// The format that is written, and the only one that is read.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    tokens: Vec<FileToken>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToken {
    id: String,
    name: String,
    hash: String,
    role: String,
    reach: FileReach,
    created_at: u64,
    expires_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum FileReach {
    Machine { projects: Option<BTreeSet<Place>> },
    Member { organisation: String, team: String, project: String, user: String },
}

pub(super) fn encode(records: &[TokenRecord]) -> Vec<u8> {
    let tokens = records.iter().map(|record| FileToken {
        id: record.id.clone(),
        name: record.name.clone(),
        hash: encode_hex(&record.hash),
        role: record.role.name().to_owned(),
        reach: match &record.reach {
            Reach::Machine { projects } => FileReach::Machine {
                projects: projects
                    .as_ref()
                    .map(|projects| projects.iter().map(|path| Place::from(path.as_path())).collect()),
            },
            Reach::Member(member) => FileReach::Member {
                organisation: member.organisation.to_string(),
                team: member.team.to_string(),
                project: member.project.to_string(),
                user: member.user.to_string(),
            },
        },
        created_at: record.created_at,
        expires_at: record.expires_at,
    });
    let file = File { version: VERSION, tokens: tokens.collect() };
    let mut bytes = serde_json::to_vec_pretty(&file).expect("strings and numbers under string keys");
    bytes.push(b'\n');
    bytes
}

/// Reads what [`encode`] wrote; the error says what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<TokenRecord>, String> {
    // What does not read is not shown: it may be a token in the wrong place.
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| format!("line {} is not what was written", error.line()))?;
    if file.version != VERSION {
        return Err(format!("it has format {}, and this version reads {VERSION}", file.version));
    }
    file.tokens.into_iter().map(record).collect()
}

fn record(token: FileToken) -> Result<TokenRecord, String> {
    let of = |what: &str| format!("the {what} of token {:?} is not what was written", token.id);
    let hash = decode_hex(&token.hash).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| of("hash"))?;
    let role = Role::from_name(&token.role).ok_or_else(|| of("role"))?;
    let reach = match token.reach {
        FileReach::Machine { projects } => Reach::Machine {
            projects: projects.map(|projects| projects.iter().map(Place::to_path).collect()),
        },
        FileReach::Member { organisation, team, project, user } => {
            let member = || {
                Ok::<_, InvalidName>(Member {
                    organisation: DatabaseName::new(&organisation)?,
                    team: TeamName::new(&team)?,
                    project: ProjectName::new(&project)?,
                    user: UserName::new(&user)?,
                })
            };
            Reach::Member(member().map_err(|_| of("member"))?)
        }
    };
    Ok(TokenRecord {
        id: token.id,
        name: token.name,
        hash,
        role,
        reach,
        created_at: token.created_at,
        expires_at: token.expires_at,
    })
}
