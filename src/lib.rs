//! contextd-indexer keeps a searchable index of a git worktree exactly equal to
//! what is on disk, at a cost proportional to the change. This crate is the
//! library behind the `indexer` program; it has no terminal and prints nothing
//! outside [`cli`].
//!
//! # Flow
//!
//! ```text
//! git ─ delta ─ [parse ─ chunk ─ redact ─ textify] ─ [embed, lexical] ─ store ─ tenant
//!     ─ index, search, memory, migrate ─ engine ─ session ─ daemon ─ mcp ─ http ─ cli ─ main
//! ```
//!
//! A run lists what git shows ([`git`]), compares it with the manifest
//! ([`delta`]), reads what differs, cuts it into chunks ([`chunk`]), commits
//! points and manifest records in one atomic step ([`store`]), and then fills the
//! vectors that are missing ([`embed`]). A search asks the legs, fuses and ranks
//! them ([`search`]), and checks each hit against the bytes on disk before it is
//! shown.
//!
//! # Code map
//!
//! Modules are listed in the order of dependency: each may use only those above it,
//! which a test of the source holds.
//!
//! | module | answers |
//! |---|---|
//! | [`id`], [`path`], [`language`], [`skip`] | what are things called? |
//! | [`config`], [`telemetry`], [`state_dir`] | where are we, and what was asked for? |
//! | [`embed`] | what is the vector of a text, and was it computed before? |
//! | [`manifest`] | what does the index say of a file? |
//! | [`git`], [`delta`] | which files are there, and which must be looked at? |
//! | [`parse`], [`chunk`], [`redact`], [`textify`], [`lexical`] | what does a file say? |
//! | [`store`], [`tenant`] | where does it rest, and who may see it? |
//! | [`index`] | how does the index become what is on disk? |
//! | [`search`] | what answers the question? |
//! | [`memory`] | what do agents keep, and find again? |
//! | [`migrate`] | how does it all come to another store? |
//! | [`wire`] | what does the JSON look like? |
//! | [`engine`] | what does one process need for all of this? |
//! | [`session`] | who knocks, and what may they see? |
//! | [`daemon`] | when does it happen, and who keeps watch? |
//! | [`mcp`] | what does an agent ask? |
//! | [`http`] | what is answered over the network? |
//! | [`cli`] | who asks? |
//!
//! # Invariants
//!
//! - The index of a worktree is a function of its files' bytes and the options.
//!   Nothing of a commit, a clock or the order of events is in a chunk.
//! - The manifest advances only in the commit that holds the points it speaks of. A
//!   crash repeats work, never skips it.
//! - [`delta`], [`parse`], [`chunk`], [`redact`], [`textify`] and [`lexical`] do no I/O
//!   and cannot fail; what cannot be indexed is a [`skip::SkipReason`].
//! - Nothing outside [`tenant`] makes a `Database`.
//! - Only [`cli`] prints or exits; only [`config`] reads the environment.
//! - Two traits, [`store::Store`] and [`embed::Embedder`], each with a contract and a
//!   suite that every implementation passes.
//! - Vectors are kept by the content they are of, so that they may outlive the points
//!   that needed them and never be wrong.

pub mod id;
pub mod language;
pub mod path;
pub mod skip;

pub mod config;
pub mod state_dir;
pub mod telemetry;

pub mod embed;
pub mod manifest;

pub mod delta;
pub mod git;

pub mod chunk;
pub mod lexical;
pub mod parse;
pub mod redact;
pub mod textify;

pub mod store;
pub mod tenant;

pub mod index;
pub mod memory;
pub mod migrate;
pub mod search;

pub mod engine;
pub mod wire;

pub mod session;

pub mod daemon;

pub mod mcp;

pub mod http;

pub mod cli;
