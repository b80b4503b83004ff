//! `indexer token`.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CliError;
use super::memory::time;
use super::registry::{now, shown};
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::engine::Engine;
use crate::git::Worktree;
use crate::id::{DatabaseName, ProjectName, TeamName, UserName};
use crate::session::{self, NewToken, Reach, TokenRecord};
use crate::tenant::{Member, Role, TenantContext};
use crate::wire::{Place, TokenInfo, TokenMember};

/// Make, list and revoke the tokens that the HTTP door asks for.
///
/// A token says whose data is seen and what may be done. Only a hash of it is kept.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer token create laptop                         read everything that is registered here
  indexer token create agent --role write --project . for one project, its memory included
  indexer token revoke agent")]
pub(super) struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token. It is printed once, and cannot be had again.
#[derive(Args)]
struct Create {
    /// What to call it.
    name: String,
    /// What it allows.
    #[arg(long, value_name = "ROLE", default_value = "read")]
    role: RoleName,
    /// Only the worktrees of the project that this path is in; may be given more than once.
    /// With --organisation: the name of the member's project.
    #[arg(long, value_name = "PATH")]
    project: Vec<String>,
    /// For a member of this organisation, not for this machine's person.
    #[arg(long, value_name = "NAME", requires_all = ["team", "user", "project"])]
    organisation: Option<String>,
    /// The member's team.
    #[arg(long, value_name = "NAME", requires = "organisation")]
    team: Option<String>,
    /// The member's name.
    #[arg(long, value_name = "NAME", requires = "organisation")]
    user: Option<String>,
    /// When it expires: 12h, 30d, 2w from now, or never.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = expiry)]
    expires: Expiry,
    /// Print it as one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// Search and read.
    Read,
    /// Also order runs, and keep and delete memories.
    Write,
    /// Also manage databases.
    Admin,
}

/// Seconds from now; `None` means never.
#[derive(Clone, Copy)]
struct Expiry(Option<u64>);

/// List the tokens, oldest first.
///
/// Exit code 1 means that there are none.
#[derive(Args)]
struct List {
    /// Print one JSON document a line.
    #[arg(long)]
    json: bool,
}

/// Forget a token: whoever presents it is refused from now on.
#[derive(Args)]
struct Revoke {
    /// Its name, or its id.
    name: String,
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry(None));
    }
    let wrong = || "not a time such as 12h, 30d or 2w, nor `never`".to_owned();
    let (at, unit) = text.char_indices().last().ok_or_else(wrong)?;
    let scale: u64 = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let seconds = text[..at].parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    // A hundred years is as good as never, which is to be said.
    seconds
        .filter(|seconds| (1..=100 * 366 * 86_400).contains(seconds))
        .map(|seconds| Expiry(Some(seconds)))
        .ok_or_else(wrong)
}

impl Token {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let data_dir = &engine.settings().data_dir;
        match &self.command {
            Command::Create(command) => command.run(data_dir),
            Command::List(command) => command.run(data_dir),
            Command::Revoke(Revoke { name }) => {
                let revoked = session::revoke(data_dir, name)?;
                output::write(&format!("revoked {}\n", output::printable(&revoked.name)))?;
                Ok(EXIT_OK)
            }
        }
    }
}

impl Create {
    fn run(&self, data_dir: &Path) -> Result<u8, CliError> {
        let now = now();
        let new = NewToken {
            name: self.name.clone(),
            role: match self.role {
                RoleName::Read => Role::Read,
                RoleName::Write => Role::Write,
                RoleName::Admin => Role::Admin,
            },
            reach: self.reach()?,
            expires_at: self.expires.0.map(|seconds| now + seconds),
        };
        let (token, record) = session::create(data_dir, new, now)?;
        if self.json {
            let token = Some(token.expose().to_owned());
            output::write_json(&TokenInfo { token, ..info(&record) })?;
        } else {
            output::write(&format!("{}\n", token.expose()))?;
            output::note(&format!("{}; keep it: it is not shown again", line(&record)));
        }
        Ok(EXIT_OK)
    }

    fn reach(&self) -> Result<Reach, CliError> {
        let (Some(organisation), Some(team), Some(user)) = (&self.organisation, &self.team, &self.user)
        else {
            let projects: BTreeSet<_> = (self.project.iter())
                .map(|path| Ok(Worktree::discover(Path::new(path))?.project_path().to_owned()))
                .collect::<Result<_, CliError>>()?;
            return Ok(Reach::Machine { projects: (!projects.is_empty()).then_some(projects) });
        };
        let [project] = &self.project[..] else {
            return Err(CliError::usage("a member's token is for one project: give --project once"));
        };
        let member = Member {
            organisation: DatabaseName::new(organisation)?,
            team: TeamName::new(team)?,
            project: ProjectName::new(project)?,
            user: UserName::new(user)?,
        };
        // A name that no organisation can have is refused now, not at the first request.
        TenantContext::member(member.clone(), Role::Read)?;
        Ok(Reach::Member(member))
    }
}

impl List {
    fn run(&self, data_dir: &Path) -> Result<u8, CliError> {
        let records = session::list(data_dir)?;
        for record in &records {
            match self.json {
                true => output::write_json(&info(record))?,
                false => output::write(&format!("{}\n", line(record)))?,
            }
        }
        if records.is_empty() {
            output::note("no tokens; `indexer token create NAME` makes one");
        }
        Ok(if records.is_empty() { EXIT_NOTHING } else { EXIT_OK })
    }
}

fn info(record: &TokenRecord) -> TokenInfo {
    let (projects, member) = match &record.reach {
        Reach::Machine { projects } => (projects.as_ref(), None),
        Reach::Member(member) => (None, Some(member)),
    };
    TokenInfo {
        id: record.id.clone(),
        name: record.name.clone(),
        role: record.role.name().to_owned(),
        projects: projects.map(|all| all.iter().map(|path| Place::from(path.as_path())).collect()),
        member: member.map(|member| TokenMember {
            organisation: member.organisation.to_string(),
            team: member.team.to_string(),
            project: member.project.to_string(),
            user: member.user.to_string(),
        }),
        created_at: record.created_at,
        expires_at: record.expires_at,
        token: None,
    }
}

fn line(record: &TokenRecord) -> String {
    let whose = match &record.reach {
        Reach::Machine { projects: None } => "all registered projects".to_owned(),
        Reach::Machine { projects: Some(projects) } => {
            projects.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", ")
        }
        Reach::Member(member) => {
            format!("{} of {} ({}, {})", member.user, member.organisation, member.team, member.project)
        }
    };
    let until = match record.expires_at {
        None => "never expires".to_owned(),
        Some(at) if at <= now() => format!("expired {} UTC", time::shown(at)),
        Some(at) => format!("expires {} UTC", time::shown(at)),
    };
    format!("{}  {}  {}  {whose}  {until}", record.id, output::printable(&record.name), record.role.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_said_in_words() {
        for (text, expected) in [
            ("12h", Some(Some(43_200))),
            ("30d", Some(Some(2_592_000))),
            ("2w", Some(Some(1_209_600))),
            ("never", Some(None)),
            ("", None),
            ("0d", None),
            ("d", None),
            ("30", None),
            ("-1d", None),
            ("99999999999999999999d", None),
            ("40000d", None),
            ("30é", None),
        ] {
            assert_eq!(expiry(text).ok().map(|expiry| expiry.0), expected, "{text:?}");
        }
    }
}
