//! The command line: arguments in, data on standard output, all else on standard
//! error, an exit code.
//!
//! The only module that prints or exits. Each subcommand has a file; its doc
//! comment is its help text.

mod add;
mod completions;
mod config;
mod dashboard;
mod db;
mod doctor;
mod dump;
mod error;
mod explain;
mod json;
mod list;
mod mcp;
mod memory;
mod migrate;
mod model;
mod once;
mod openapi;
mod output;
mod page;
mod registry;
mod related;
mod remove;
mod search;
mod service;
mod status;
mod token;
mod verify;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};

use error::CliError;

use crate::engine::Engine;

/// Done, or found.
const EXIT_OK: u8 = 0;
/// Nothing found, or the check failed.
const EXIT_NOTHING: u8 = 1;
/// An error; standard error says which and what to do.
const EXIT_ERROR: u8 = 2;
/// The command line could not be understood.
const EXIT_USAGE: u8 = 64;

/// A git-aware index of your code that answers questions about it.
///
/// `indexer once` brings the index of a worktree to what is on disk; `indexer search`
/// asks it. Nothing has to be configured.
#[derive(Parser)]
#[command(name = "indexer", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0   done, or something was found
  1   nothing was found, or a check failed
  2   an error; the message says what to do
  64  the command line is wrong

Examples:
  indexer once                          index the worktree you are in
  indexer search 'where are retries configured?'
  indexer search --language rust --path 'src/**' parse_manifest
  indexer mcp install                   let the agents that you use ask it
  indexer verify                        prove that the index is what is on disk";

/// Options of every command.
#[derive(Args)]
struct Global {
    /// Where indexes and the embedding cache live [env: INDEXER_DATA_DIR].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file to read instead of the user's [env: INDEXER_CONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// When to colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Log more on standard error; twice for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Subcommand)]
enum Command {
    Once(once::Once),
    Watch(watch::Watch),
    Reload(watch::Reload),
    Search(search::Search),
    Verify(verify::Verify),
    Explain(explain::Explain),
    Related(related::RelatedTo),
    Status(status::Status),
    Dump(dump::Dump),
    Add(add::Add),
    Remove(remove::Remove),
    List(list::List),
    Memory(memory::Memory),
    Mcp(mcp::Mcp),
    Migrate(migrate::Migrate),
    Doctor(doctor::Doctor),
    Db(db::Db),
    Service(service::Service),
    Token(token::Token),
    Page(page::Page),
    Model(model::Model),
    Config(config::Config),
    Dashboard(dashboard::Dashboard),
    Completions(completions::Completions),
    Openapi(openapi::Openapi),
}

/// Runs the program with `args` (the first is its name).
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    crate::telemetry::install_panic_hook();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { EXIT_OK });
        }
    };
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output has seen enough.
        Err(error) if error.is_broken_pipe() => ExitCode::from(EXIT_OK),
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(EXIT_ERROR)
        }
    }
}

fn dispatch(cli: &Cli) -> Result<u8, CliError> {
    let flags =
        crate::config::Flags { config: cli.global.config.clone(), data_dir: cli.global.data_dir.clone() };
    // These must work where the configuration does not.
    match &cli.command {
        Command::Completions(command) => return command.run(),
        Command::Dashboard(command) => return command.run(),
        Command::Openapi(command) => return command.run(),
        Command::Config(command) => return command.run(&flags),
        Command::Doctor(command) => return command.run(&flags, cli.global.verbose),
        _ => {}
    }
    let settings = crate::config::load(&flags)?;
    // Of a daemon people want to know what it does.
    let daemon = matches!(cli.command, Command::Watch(_));
    let verbosity = cli.global.verbose.saturating_add(u8::from(daemon));
    // What is left of the traces is sent when it is dropped.
    let (log, _traces) =
        crate::telemetry::init(&settings.log, &settings.traces, verbosity).map_err(CliError::usage)?;
    let color = match cli.global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => !settings.no_color && output::stdout_is_terminal(),
    };
    let engine = Arc::new(Engine::new(settings)?);
    match &cli.command {
        Command::Once(command) => command.run(&engine),
        Command::Watch(command) => command.run(engine, flags, log, verbosity),
        Command::Reload(command) => command.run(&engine),
        Command::Search(command) => command.run(&engine, color),
        Command::Verify(command) => command.run(&engine),
        Command::Explain(command) => command.run(&engine),
        Command::Related(command) => command.run(&engine),
        Command::Status(command) => command.run(&engine),
        Command::Dump(command) => command.run(&engine),
        Command::Add(command) => command.run(&engine),
        Command::Remove(command) => command.run(&engine),
        Command::List(command) => command.run(&engine),
        Command::Db(command) => command.run(&engine),
        Command::Memory(command) => command.run(&engine),
        Command::Mcp(command) => command.run(&engine, &flags),
        Command::Migrate(command) => command.run(&engine, &flags),
        Command::Service(command) => command.run(engine.settings(), &flags),
        Command::Model(command) => command.run(engine.settings()),
        Command::Token(command) => command.run(&engine),
        Command::Page(command) => command.run(&engine),
        Command::Config(_)
        | Command::Dashboard(_)
        | Command::Completions(_)
        | Command::Openapi(_)
        | Command::Doctor(_) => Ok(EXIT_OK),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
