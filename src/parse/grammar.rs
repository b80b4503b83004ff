//! Grammars and their queries: which tree-sitter language and which
//! `queries/<language>/tags.scm` a [`Language`] is read with. Compiled once.
//!
//! Captures that the queries use:
//! - `@definition.<kind>`: a definition, with its `@name` and, where it has one, `@body`
//!   (the signature ends where the body starts);
//! - `@extent`: a wider node around the definition of the same `@name` (`export …`, decorators);
//! - `@doc`, `@attribute`: a comment, attribute or decorator; it belongs to the definition
//!   that follows directly;
//! - `@docstring`: documentation inside the definition of the same `@name`;
//! - `@container`, `@object`: the type that the definition belongs to without being inside it;
//! - `@trait`: the trait of an impl;
//! - `@module`, `@module.doc`: the module name that a file declares, and its documentation.
//!
//! Knows nothing of chunks.

use std::sync::OnceLock;

use tree_sitter::Query;

use crate::language::Language;

/// Kinds that a `@definition.<kind>` may name.
pub(super) const KINDS: &[&str] = &[
    "class",
    "constant",
    "enum",
    "function",
    "impl",
    "interface",
    "macro",
    "method",
    "module",
    "struct",
    "trait",
    "type",
    "union",
    "variable",
];

/// What a capture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Definition(&'static str),
    Extent,
    Name,
    Body,
    Doc,
    Attribute,
    Docstring,
    Container,
    Object,
    Trait,
    Module,
    ModuleDoc,
    /// Used by a predicate alone.
    Other,
}

/// A grammar with its compiled query.
pub(super) struct Grammar {
    pub(super) language: tree_sitter::Language,
    pub(super) query: Query,
    /// Role of each capture, by index.
    pub(super) roles: Vec<Role>,
}

fn role(capture: &str) -> Role {
    if let Some(kind) = capture.strip_prefix("definition.") {
        return KINDS.iter().find(|known| **known == kind).map_or(Role::Other, |kind| Role::Definition(kind));
    }
    match capture {
        "extent" => Role::Extent,
        "name" => Role::Name,
        "body" => Role::Body,
        "doc" => Role::Doc,
        "attribute" => Role::Attribute,
        "docstring" => Role::Docstring,
        "container" => Role::Container,
        "object" => Role::Object,
        "trait" => Role::Trait,
        "module" => Role::Module,
        "module.doc" => Role::ModuleDoc,
        _ => Role::Other,
    }
}

const ECMASCRIPT: &str = include_str!("../../queries/ecmascript/tags.scm");

fn compile(language: Language) -> Option<Result<Grammar, tree_sitter::QueryError>> {
    let (function, sources): (_, &[&str]) = match language {
        Language::Rust => (tree_sitter_rust::LANGUAGE, &[include_str!("../../queries/rust/tags.scm")]),
        Language::Go => (tree_sitter_go::LANGUAGE, &[include_str!("../../queries/go/tags.scm")]),
        Language::Python => (tree_sitter_python::LANGUAGE, &[include_str!("../../queries/python/tags.scm")]),
        Language::JavaScript => (
            tree_sitter_javascript::LANGUAGE,
            &[ECMASCRIPT, include_str!("../../queries/javascript/tags.scm")],
        ),
        Language::TypeScript => (
            tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            &[ECMASCRIPT, include_str!("../../queries/typescript/tags.scm")],
        ),
        Language::Tsx => (
            tree_sitter_typescript::LANGUAGE_TSX,
            &[ECMASCRIPT, include_str!("../../queries/typescript/tags.scm")],
        ),
        _ => return None,
    };
    let language = tree_sitter::Language::new(function);
    Some(Query::new(&language, &sources.concat()).map(|query| {
        let roles = query.capture_names().iter().map(|name| role(name)).collect();
        Grammar { language, query, roles }
    }))
}

/// The grammar of `language`, if there is one. The queries are part of the
/// program; a test compiles every one of them.
pub(super) fn grammar(language: Language) -> Option<&'static Grammar> {
    static GRAMMARS: [OnceLock<Option<Grammar>>; 6] = [const { OnceLock::new() }; 6];
    let slot = match language {
        Language::Rust => 0,
        Language::Go => 1,
        Language::TypeScript => 2,
        Language::Tsx => 3,
        Language::JavaScript => 4,
        Language::Python => 5,
        _ => return None,
    };
    GRAMMARS[slot].get_or_init(|| compile(language).and_then(Result::ok)).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_compiles_and_every_capture_is_known() {
        for language in Language::ALL.iter().copied() {
            let compiled = compile(language);
            assert_eq!(compiled.is_some(), language.has_grammar(), "{language}");
            let Some(compiled) = compiled else { continue };
            let grammar = compiled.unwrap_or_else(|error| panic!("{language}: {error}"));
            for (name, role) in grammar.query.capture_names().iter().zip(&grammar.roles) {
                assert!(*role != Role::Other || *name == "value", "{language}: unknown capture @{name}");
            }
        }
    }
}
