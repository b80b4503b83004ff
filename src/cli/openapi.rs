//! `indexer openapi`.

use clap::Args;

use super::error::CliError;
use super::{EXIT_OK, output};
use crate::http;

/// Print the OpenAPI document of the HTTP door, as `GET /v1/openapi.json` gives it.
#[derive(Args)]
pub(super) struct Openapi {}

impl Openapi {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        output::write_json(&http::document())?;
        Ok(EXIT_OK)
    }
}
