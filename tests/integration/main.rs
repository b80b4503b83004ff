//! The one integration binary: everything that is seen from outside the program,
//! with real git, the real model and the real store. One binary, because linking
//! the dependencies once is most of what a test binary costs. `qdrant_server`, beside
//! this folder, is the Qdrant server that stands in for a real one.
//!
//! | module | what it holds |
//! |---|---|
//! | `harness` | a hermetic home, git, and the built program with its answers parsed |
//! | `tidy` | the source tree keeps its own rules: module order, sizes, words, documentation |
//! | `databases` | `indexer db`: databases listed, described, created, deleted; names that lead nowhere |
//! | `dependencies` | licences, sources and bans of every crate in the build |
//! | `pipeline` | from a worktree to an answer: whole outcomes, and nothing embedded twice |
//! | `ops` | random git and file operations: the model of what people do to a worktree |
//! | `property` | after every random operation: incremental = from scratch, and what git shows |
//! | `kill` | kill -9 at random moments: converges, loses nothing, embeds nothing twice |
//! | `doctor` | what was broken is found, and nothing is changed by looking |
//! | `related` | what belongs to a place of the code: alike, users, tests, callees |
//! | `several` | one search over several worktrees |
//! | `service` | the daemon as a service: what is written, what the manager is told |
//! | `registry` | worktrees are added, listed and removed |
//! | `models` | a model is changed while the former one answers |
//! | `migrate` | an index and memories come to a Qdrant server and back, whole |
//! | `memory` | checkpoints and remediations: kept by one process, found by another |
//! | `mcp` | agents: the protocol on standard input and output and over HTTP, and its installation |
//! | `daemon` | the running daemon, started, asked, stopped and killed from outside |
//! | `telemetry` | traces reach a collector, and say nothing that is not to be said |
//! | `http` | the HTTP door: who is let in, and what it bears |
//! | `golden` | 240 queries over a small product: where the expected hit stands |
//! | `hostile` | hostile files, damaged state, refused and full disks: an answer each, never a lost index |

mod daemon;
mod databases;
mod dependencies;
mod doctor;
mod golden;
mod harness;
mod hostile;
mod http;
mod kill;
mod mcp;
mod memory;
mod migrate;
mod models;
mod ops;
mod pipeline;
mod property;
#[path = "../qdrant_server/mod.rs"]
mod qdrant_server;
mod registry;
mod related;
mod service;
mod several;
mod telemetry;
mod tidy;
