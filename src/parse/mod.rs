//! tree-sitter: bytes → symbols. Pure; never fails: broken code gives the
//! symbols that can be seen and a count of errors.
//!
//! What counts as a symbol is said by `queries/<language>/tags.scm`; here they
//! are put in order, given their documentation, container and signature. Nothing
//! here knows of tokens, chunks or files.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use tree_sitter::{Node, ParseOptions, Parser, QueryCursor, StreamingIterator, Tree};

use crate::language::Language;

mod comment;
mod grammar;
#[cfg(test)]
mod tests;

use comment::Lead;
use grammar::{Grammar, Role};

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Kind: `function`, `method`, `class`, `struct`, `union`, `enum`, `trait`, `interface`,
    /// `impl`, `type`, `constant`, `variable`, `macro`, `module`.
    pub kind: &'static str,
    /// Name as written. Of an impl the type's name, or `Trait for Type`.
    pub name: String,
    /// Names of the enclosing symbols, outermost first; of a Go method its receiver.
    pub container: Vec<String>,
    /// Bytes of the whole definition: doc comment, attributes/decorators and body.
    pub bytes: Range<usize>,
    /// Signature on one line, without the body.
    pub signature: String,
    /// Doc comment or docstring, comment markers removed.
    pub doc: Option<String>,
}

/// Where a text may be cut: a line whose first token starts a syntax node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// First byte of that node.
    pub byte: u32,
    /// Depth of the outermost such node in the tree: the lower, the better the cut.
    pub depth: u16,
}

/// What a file's syntax tree says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Symbols, by start then by descending end (outer first).
    pub symbols: Vec<Symbol>,
    /// Module or file documentation.
    pub module_doc: Option<String>,
    /// Module name that the file declares itself (`package x`), where the language has one.
    pub module: Option<String>,
    /// Where the text may be cut, by byte.
    pub breaks: Vec<Break>,
    /// Error and missing nodes. One where the parse was given up.
    pub errors: usize,
}

/// Longest signature, in bytes.
const MAX_SIGNATURE: usize = 300;
/// Most brackets open at a time.
const MAX_OPEN: usize = 2_000;
/// Bytes that the lexer is given at a time.
const READ: usize = 4_096;
/// Most enclosing symbols named, the outermost of them.
const MAX_CONTAINERS: usize = 16;
/// Longest name, in bytes.
const MAX_NAME: usize = 200;
/// Most siblings without a name (brackets, operators) in a row; real code has a few.
const MAX_CROWD: usize = 2048;

/// Parses `source`. A language without grammar gives no symbols. So does a text on
/// which the parser does far more work than any real code needs (counted in
/// operations, not in time: the answer is a function of the text).
pub fn parse(language: Language, source: &str) -> Parsed {
    let Some(grammar) = grammar::grammar(language) else { return Parsed::default() };
    let Some(tree) = parse_tree(grammar, source) else { return Parsed { errors: 1, ..Parsed::default() } };
    if crowded(&tree) {
        return Parsed { errors: 1, ..Parsed::default() };
    }
    let mut found = collect(grammar, &tree, source);
    found.leads.sort_by_key(|lead| (lead.start, lead.end));
    found.leads.dedup();
    let (breaks, errors) = walk(&tree, source);
    let module_doc = module_doc(language, source, &found, &tree);
    let symbols = symbols(language, source, found.definitions, &found.leads);
    Parsed { symbols, module_doc, module: found.module, breaks, errors }
}

/// Whether brackets stand open by the thousand at some place, those in strings and
/// comments included. The parser's error recovery is quadratic in that.
fn too_deep(source: &str) -> bool {
    let mut open = 0usize;
    source.bytes().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN
    })
}

fn parse_tree(grammar: &Grammar, source: &str) -> Option<Tree> {
    if too_deep(source) {
        return None;
    }
    // Making a parser costs more than a small file's parse.
    thread_local!(static PARSER: RefCell<Parser> = RefCell::new(Parser::new()));
    PARSER.with(|parser| {
        let mut parser = parser.try_borrow_mut().ok()?;
        parser.set_language(&grammar.language).ok()?;
        // Operations are counted by the hundred. Of 1,500 real files over 2 kB the median
        // needs 0.007 hundreds a byte, the worst 0.023.
        let hundreds = Cell::new(1_000 + source.len() / 16);
        // What the lexer reads again and again (an unclosed raw string, nested templates)
        // is no operation of the parser: its reads are counted as well.
        let reads = Cell::new(256 + 32 * (source.len() / READ));
        let spend = |left: &Cell<usize>| {
            left.set(left.get().saturating_sub(1));
            left.get() > 0
        };
        let mut progress = |_: &tree_sitter::ParseState| {
            if spend(&hundreds) && reads.get() > 0 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let bytes = source.as_bytes();
        let mut read = |at: usize, _| {
            let end = bytes.len().min(at.saturating_add(READ));
            if spend(&reads) { bytes.get(at..end).unwrap_or_default() } else { &[] }
        };
        let options = ParseOptions::new().progress_callback(&mut progress);
        let tree = parser.parse_with_options(&mut read, None, Some(options)).filter(|_| reads.get() > 0);
        if tree.is_none() {
            parser.reset();
        }
        tree
    })
}

/// A definition as the query sees it, joined from all matches with its name node.
#[derive(Default)]
struct Definition {
    kind: Option<&'static str>,
    name: Range<usize>,
    /// Widest node.
    extent: Range<usize>,
    /// Start of the narrowest definition node: where the signature starts.
    start: usize,
    body: Option<usize>,
    docstring: Option<Range<usize>>,
    container: Option<Range<usize>>,
    object: Option<Range<usize>>,
    of_trait: Option<Range<usize>>,
}

#[derive(Default)]
struct Found {
    definitions: Vec<Definition>,
    leads: Vec<Lead>,
    module: Option<String>,
    module_doc: Option<Range<usize>>,
}

fn collect(grammar: &Grammar, tree: &Tree, source: &str) -> Found {
    let mut found = Found::default();
    let mut by_name: HashMap<usize, usize> = HashMap::new();
    let mut cursor = QueryCursor::new();
    let mut matches = cursor.matches(&grammar.query, tree.root_node(), source.as_bytes());
    while let Some(hit) = matches.next() {
        let mut definition = Definition::default();
        let mut named = false;
        for capture in hit.captures() {
            let range = capture.node.byte_range();
            match grammar.roles[capture.index as usize] {
                Role::Definition(kind) => {
                    definition.kind = Some(kind);
                    definition.start = range.start;
                    definition.extent = range;
                }
                Role::Extent => {
                    definition.start = usize::MAX;
                    definition.extent = range;
                }
                Role::Name => {
                    definition.name = range;
                    named = true;
                }
                Role::Body => definition.body = Some(range.start),
                Role::Docstring => definition.docstring = Some(range),
                Role::Container => definition.container = Some(range),
                Role::Object => definition.object = Some(range),
                Role::Trait => definition.of_trait = Some(range),
                Role::Doc | Role::Attribute if !range.is_empty() => found.leads.push(Lead {
                    start: range.start,
                    end: range.end,
                    comment: grammar.roles[capture.index as usize] == Role::Doc,
                }),
                Role::Module => {
                    found.module.get_or_insert_with(|| source[range].to_owned());
                }
                Role::ModuleDoc => {
                    found.module_doc.get_or_insert(range);
                }
                Role::Doc | Role::Attribute | Role::Other => {}
            }
        }
        if named && !definition.name.is_empty() {
            let at = *by_name.entry(definition.name.start).or_insert_with(|| {
                found.definitions.push(Definition {
                    name: definition.name.clone(),
                    extent: definition.extent.clone(),
                    ..Definition::default()
                });
                found.definitions.len() - 1
            });
            join(&mut found.definitions[at], definition);
        }
    }
    found.definitions.retain(|definition| definition.kind.is_some());
    found
}

/// How much a kind says, where several patterns match one definition.
fn specificity(kind: Option<&str>) -> u8 {
    match kind {
        None => 0,
        Some("constant" | "type" | "variable") => 1,
        Some(_) => 2,
    }
}

fn join(known: &mut Definition, new: Definition) {
    if new.kind.is_some() {
        known.start = if known.kind.is_some() { known.start.max(new.start) } else { new.start };
    }
    if specificity(new.kind) > specificity(known.kind) {
        known.kind = new.kind;
    }
    known.extent = known.extent.start.min(new.extent.start)..known.extent.end.max(new.extent.end);
    known.body = known.body.or(new.body);
    known.docstring = known.docstring.take().or(new.docstring);
    known.container = known.container.take().or(new.container);
    known.object = known.object.take().or(new.object);
    known.of_trait = known.of_trait.take().or(new.of_trait);
}

fn symbols(
    language: Language,
    source: &str,
    mut definitions: Vec<Definition>,
    leads: &[Lead],
) -> Vec<Symbol> {
    definitions.sort_by(|a, b| {
        (a.extent.start, b.extent.end, a.name.start).cmp(&(b.extent.start, a.extent.end, b.name.start))
    });
    let mut out: Vec<Symbol> = Vec::with_capacity(definitions.len());
    // Enclosing definitions: end, kind, name. One dropped from `out` still hides what is in it.
    let mut open: Vec<(Range<usize>, &'static str, String)> = Vec::new();
    for definition in definitions {
        let Some(mut kind) = definition.kind else { continue };
        while open.last().is_some_and(|(range, ..)| range.end <= definition.extent.start) {
            open.pop();
        }
        let name = symbol_name(source, &definition);
        // Two names in one declaration (`const a = …, b = …`) are siblings.
        let enclosing = open.iter().filter(|(range, ..)| *range != definition.extent);
        let outer = enclosing.clone().next_back().map(|(_, kind, _)| *kind);
        if kind == "function" && matches!(outer, Some("class" | "impl" | "interface" | "trait")) {
            kind = "method";
        }
        let in_function =
            enclosing.clone().take(MAX_CONTAINERS).any(|(_, kind, _)| matches!(*kind, "function" | "method"));
        let local = in_function && matches!(kind, "constant" | "variable" | "type");
        let mut container: Vec<String> =
            enclosing.take(MAX_CONTAINERS).map(|(_, _, name)| name.clone()).collect();
        if let Some(receiver) = &definition.container {
            container = vec![one_line(&source[receiver.clone()], MAX_NAME)];
            kind = "method";
        }
        if let Some(object) = definition.object.as_ref().and_then(|object| owner_of(&source[object.clone()]))
        {
            container = vec![object];
            kind = "method";
        }
        if !local {
            let above = comment::leads_above(source, leads, definition.extent.start);
            let start = above.first().map_or(definition.extent.start, |lead| lead.start);
            let comments =
                above.iter().filter(|lead| lead.comment).map(|lead| source[lead.start..lead.end].trim_end());
            let doc = (definition.docstring.as_ref())
                .and_then(|literal| comment::docstring(&source[literal.clone()]))
                .or_else(|| comment::documentation(comments));
            let signature = signature(language, source, &definition, leads);
            let end = definition.extent.start + source[definition.extent.clone()].trim_end().len().max(1);
            out.push(Symbol { kind, name: name.clone(), container, bytes: start..end, signature, doc });
        }
        open.push((definition.extent, kind, name));
    }
    out.sort_by_key(|symbol| (symbol.bytes.start, std::cmp::Reverse(symbol.bytes.end)));
    out
}

fn symbol_name(source: &str, definition: &Definition) -> String {
    let name = &source[definition.name.clone()];
    if definition.kind == Some("impl") {
        let name = base_type(name);
        return match &definition.of_trait {
            Some(of_trait) => {
                one_line(&format!("{} for {name}", base_type(&source[of_trait.clone()])), MAX_NAME)
            }
            None => one_line(name, MAX_NAME),
        };
    }
    one_line(name.trim_matches(['"', '\'', '`']), MAX_NAME)
}

/// A type's name without its generic arguments: `fmt::Display`, `Vec`.
fn base_type(name: &str) -> &str {
    match name.find('<') {
        Some(at) if at > 0 => name[..at].trim_end_matches(':'),
        _ => name,
    }
}

/// The type that `object.name = function` adds to; `None` where it is the module itself.
fn owner_of(object: &str) -> Option<String> {
    let object = object.strip_suffix(".prototype").unwrap_or(object);
    let plain = object.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.'));
    (plain && !matches!(object, "exports" | "module" | "module.exports" | "this" | "self" | "window"))
        .then(|| object.to_owned())
}

fn signature(language: Language, source: &str, definition: &Definition, leads: &[Lead]) -> String {
    let start = definition.start.min(definition.name.start);
    let body = definition.body.filter(|body| *body >= definition.name.end);
    let end = body.unwrap_or(definition.extent.end).max(start);
    // Comments between parameters, or before the body, are no part of it.
    let mut text = String::new();
    let mut at = start;
    for lead in &leads[leads.partition_point(|lead| lead.start < start)..] {
        if lead.start >= end || text.len() > MAX_SIGNATURE {
            break;
        }
        if lead.comment && lead.start >= at {
            text.push_str(&source[at..lead.start]);
            text.push(' ');
            at = lead.end.min(end);
        }
    }
    let rest = &source[at..end];
    text.push_str(&rest[..rest.floor_char_boundary(4 * MAX_SIGNATURE)]);
    let mut line = one_line(&text, MAX_SIGNATURE);
    while let Some(kept) =
        ["{", ";", "=>", "=", ":", " "].iter().find_map(|end| line.strip_suffix(end)).map(str::len)
    {
        line.truncate(kept);
    }
    match (language, definition.kind) {
        (Language::Go, Some(kind @ ("struct" | "interface"))) if body.is_some() => {
            format!("type {line} {kind}")
        }
        (Language::Go, Some("type")) => format!("type {line}"),
        _ => line,
    }
}

/// `text` with runs of white space made one space, of at most `max` bytes.
fn one_line(text: &str, max: usize) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > max {
            comment::truncate(&mut out, max);
            break;
        }
    }
    out
}

fn module_doc(language: Language, source: &str, found: &Found, tree: &Tree) -> Option<String> {
    let leads = &found.leads;
    match language {
        Language::Python => {
            let literal = found.module_doc.clone()?;
            comment::only_comments_before(source, leads, literal.start)
                .then(|| comment::docstring(&source[literal]))?
        }
        Language::Rust => {
            let first = found.definitions.iter().map(|d| d.extent.start).min().unwrap_or(source.len());
            let comments = comment::file_comments(source, leads, first, comment::is_inner);
            comment::documentation(comments.into_iter())
        }
        Language::Go => {
            let mut cursor = tree.walk();
            let package =
                tree.root_node().children(&mut cursor).find(|node| node.kind() == "package_clause")?;
            let above = comment::leads_above(source, leads, package.start_byte());
            comment::documentation(above.iter().map(|lead| source[lead.start..lead.end].trim_end()))
        }
        _ => {
            let comments = comment::file_comments(source, leads, source.len(), |comment| {
                comment.starts_with("/**")
                    && ["@module", "@file", "@packageDocumentation"].iter().any(|tag| comment.contains(tag))
            });
            let first = comments.into_iter().next()?;
            comment::documentation(std::iter::once(first))
        }
    }
}

/// Whether more than [`MAX_CROWD`] siblings without a name follow each other. For each
/// of them a query looks for the next named one: its time grows with the square.
fn crowded(tree: &Tree) -> bool {
    let mut cursor = tree.walk();
    let mut run = 0;
    loop {
        let node = cursor.node();
        run = if node.is_named() { 0 } else { run + 1 };
        if run > MAX_CROWD {
            return true;
        }
        if node.descendant_count() > MAX_CROWD && cursor.goto_first_child() {
            run = 0;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return false;
            }
            run = 0;
        }
    }
}

/// One walk over the nodes that span several lines, and over those with errors.
fn walk(tree: &Tree, source: &str) -> (Vec<Break>, usize) {
    let mut breaks: Vec<Break> = Vec::new();
    let mut errors = 0;
    let mut last_row = usize::MAX;
    let mut cursor = tree.walk();
    let mut depth: u16 = 0;
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            errors += 1;
        }
        let row = node.start_position().row;
        if node.is_named() && row != last_row && !node.byte_range().is_empty() {
            if starts_line(source, &node) {
                breaks.push(Break { byte: node.start_byte() as u32, depth });
            }
            last_row = row;
        }
        let inside = node.end_position().row > row || node.has_error();
        if inside && cursor.goto_first_child() {
            depth = depth.saturating_add(1);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return (breaks, errors);
            }
            depth = depth.saturating_sub(1);
        }
    }
}

fn starts_line(source: &str, node: &Node<'_>) -> bool {
    let start = node.start_byte();
    source.as_bytes()[start - node.start_position().column..start].iter().all(u8::is_ascii_whitespace)
}
