//! What was found when everything was looked at.

use serde::{Deserialize, Serialize};

/// The whole examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The worst of the checks.
    pub status: Health,
    /// The checks.
    pub checks: Vec<Check>,
}

/// How something is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, less well than it could.
    Warning,
    /// It does not work.
    Failure,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub status: Health,
    /// What was found.
    pub found: String,
    /// The command or setting that helps; `None` where nothing has to be done, or where
    /// what was found says it.
    pub remedy: Option<String>,
}

impl Check {
    fn new(check: &str, status: Health, found: impl Into<String>) -> Check {
        Check { check: check.to_owned(), status, found: found.into(), remedy: None }
    }

    /// As it should be.
    pub fn ok(check: &str, found: impl Into<String>) -> Check {
        Check::new(check, Health::Ok, found)
    }

    /// It works, less well than it could.
    pub fn warning(check: &str, found: impl Into<String>) -> Check {
        Check::new(check, Health::Warning, found)
    }

    /// It does not work.
    pub fn failure(check: &str, found: impl Into<String>) -> Check {
        Check::new(check, Health::Failure, found)
    }

    /// With the command or setting that helps.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Check {
        self.remedy = Some(remedy.into());
        self
    }
}
