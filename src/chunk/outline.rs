//! Symbols → pieces: runs of whole lines that each belong to one symbol (or to
//! none), then small pieces joined with their neighbours. No text is cut here.

use std::ops::Range;

use super::budget::Budget;
use super::source::Source;
use crate::parse::Symbol;

/// Nesting below this depth is not looked at: no reader names it.
const MAX_DEPTH: usize = 24;

/// What a piece is to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The whole of it.
    Whole,
    /// What it has before its first member: signature, documentation, fields.
    Head,
    /// What it has between or after its members.
    Between,
    /// Closing brackets only.
    Closer,
}

/// A run of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) lines: Range<usize>,
    /// Index of the symbol it belongs to.
    pub(super) owner: Option<usize>,
    /// Index of the symbol around it; its owner if it is not the whole of it.
    around: Option<usize>,
    pub(super) role: Role,
    tokens: usize,
}

/// A symbol in lines, with what is inside it.
struct Node {
    symbol: usize,
    lines: Range<usize>,
    children: Vec<Node>,
}

/// Cuts the lines of `source` into pieces, in order; blank lines between them are in none.
pub(super) fn pieces(source: &Source<'_>, symbols: &[Symbol], budget: &Budget<'_>) -> Vec<Piece> {
    let roots = nest(source, symbols);
    let mut out = Vec::new();
    let all = Node { symbol: usize::MAX, lines: 0..source.lines(), children: roots };
    lay(source, symbols, budget, &all, None, None, &mut out);
    join(source, symbols, budget, out)
}

fn nest(source: &Source<'_>, symbols: &[Symbol]) -> Vec<Node> {
    let mut roots: Vec<Node> = Vec::new();
    let mut open: Vec<Node> = Vec::new();
    let close = |open: &mut Vec<Node>, roots: &mut Vec<Node>| {
        if let Some(node) = open.pop() {
            match open.last_mut() {
                Some(outer) => outer.children.push(node),
                None => roots.push(node),
            }
        }
    };
    for (index, symbol) in symbols.iter().enumerate() {
        let last = symbol.bytes.end.saturating_sub(1).max(symbol.bytes.start);
        let lines = source.line_at(symbol.bytes.start)..source.line_at(last) + 1;
        while open.last().is_some_and(|node| node.lines.end <= lines.start) {
            close(&mut open, &mut roots);
        }
        // What shares a line with its neighbour or its container cannot be told apart by lines.
        let siblings = open.last().map_or(&roots, |node| &node.children);
        let shared = siblings.last().is_some_and(|sibling| sibling.lines.end > lines.start);
        let outside = open.last().is_some_and(|node| {
            lines.start <= node.lines.start || lines.end > node.lines.end || lines == node.lines
        });
        if shared || outside || open.len() >= MAX_DEPTH {
            let end = lines.end;
            // A neighbour that goes on longer keeps its lines together with the first.
            if outside && open.last().is_some_and(|node| node.lines.end < end && node.children.is_empty()) {
                let within =
                    open.len().checked_sub(2).and_then(|at| open.get(at)).map_or(usize::MAX, |n| n.lines.end);
                if let Some(node) = open.last_mut() {
                    node.lines.end = end.min(within);
                }
            }
            continue;
        }
        open.push(Node { symbol: index, lines, children: Vec::new() });
    }
    while !open.is_empty() {
        close(&mut open, &mut roots);
    }
    roots
}

fn is_container(kind: &str) -> bool {
    matches!(kind, "class" | "impl" | "interface" | "module" | "struct" | "trait")
}

/// Whether a member of this name makes what it is a member of: with it the head of a
/// class says what the class is made of.
fn makes(name: &str) -> bool {
    matches!(name, "__init__" | "constructor" | "new")
}

/// Kinds that may share a chunk when small: code with code, data with data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Callable,
    Container,
    Data,
    Prose,
}

fn family(kind: &str) -> Family {
    match kind {
        "function" | "method" | "macro" => Family::Callable,
        "class" | "impl" | "module" | "trait" => Family::Container,
        "section" => Family::Prose,
        _ => Family::Data,
    }
}

fn lay(
    source: &Source<'_>,
    symbols: &[Symbol],
    budget: &Budget<'_>,
    node: &Node,
    owner: Option<usize>,
    around: Option<usize>,
    out: &mut Vec<Piece>,
) {
    let estimate = source.estimate(node.lines.clone());
    let whole = owner.is_some_and(|owner| {
        node.children.is_empty()
            || if is_container(symbols[owner].kind) {
                estimate.likely() <= budget.whole()
            } else {
                budget.fits(&source.render(source.span(node.lines.clone())), estimate)
            }
    });
    if whole {
        push(source, node.lines.clone(), owner, around, Role::Whole, out);
        return;
    }
    let mut at = node.lines.start;
    for child in &node.children {
        let head = owner.is_some() && at == node.lines.start;
        let role = if head { Role::Head } else { Role::Between };
        push(source, at..child.lines.start, owner, owner, role, out);
        lay(source, symbols, budget, child, Some(child.symbol), owner, out);
        at = child.lines.end;
    }
    push(source, at..node.lines.end, owner, owner, Role::Between, out);
}

fn push(
    source: &Source<'_>,
    lines: Range<usize>,
    owner: Option<usize>,
    around: Option<usize>,
    role: Role,
    out: &mut Vec<Piece>,
) {
    let lines = source.trim(lines);
    if lines.is_empty() {
        return;
    }
    let closes = lines.clone().all(|line| {
        source.line(line).chars().all(|c| c.is_whitespace() || matches!(c, '}' | ')' | ']' | ';' | ','))
    });
    let role = if closes && role != Role::Whole { Role::Closer } else { role };
    let tokens = source.estimate(lines.clone()).likely();
    out.push(Piece { lines, owner, around, role, tokens });
}

/// Joins closers with what they close, small heads and gaps with what follows (else
/// with what precedes) in the same container, and small neighbours with each other.
fn join(source: &Source<'_>, symbols: &[Symbol], budget: &Budget<'_>, pieces: Vec<Piece>) -> Vec<Piece> {
    let floor = budget.floor();
    // Whether two small neighbours may be one chunk, named by the first.
    let related =
        |a: &Piece, b: &Piece| match (a.owner.map(|at| &symbols[at]), b.owner.map(|at| &symbols[at])) {
            (Some(a), Some(b)) => match (family(a.kind), family(b.kind)) {
                // A section takes in those below it and its equals, never one above.
                (Family::Prose, Family::Prose) => a.container.len() <= b.container.len(),
                (a, b) => a == b,
            },
            (a, b) => a.is_none() && b.is_none(),
        };
    // Small functions and types stay findable by name: they stop at the floor.
    let room = |piece: &Piece| match piece.owner.map(|owner| family(symbols[owner].kind)) {
        Some(Family::Callable | Family::Container) => floor,
        _ => 3 * floor,
    };
    let fits = |a: &Piece, b: &Piece| {
        let lines = a.lines.start..b.lines.end;
        budget.fits(&source.render(source.span(lines.clone())), source.estimate(lines))
    };
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for mut piece in pieces {
        let Some(last) = out.last_mut() else {
            out.push(piece);
            continue;
        };
        let same = last.around == piece.around;
        let title = last.owner.map(|owner| symbols[owner].kind).filter(|_| last.role == Role::Head);
        let titled = matches!(title, Some("class" | "interface" | "struct" | "trait"));
        let joins =
            !titled || piece.tokens < floor || piece.owner.is_some_and(|owner| makes(&symbols[owner].name));
        let ahead = matches!(last.role, Role::Head | Role::Between);
        let forward = ahead && last.tokens < floor && same && joins;
        let small = piece.tokens < floor
            && same
            && last.role == piece.role
            && last.tokens < room(last)
            && (piece.role != Role::Whole || related(last, &piece));
        // What is over the budget is cut anyway, and then starts with its head.
        let over = forward && {
            let lines = piece.lines.clone();
            !budget.fits(&source.render(source.span(lines.clone())), source.estimate(lines))
        };
        if (piece.role == Role::Closer || forward || small) && (over || fits(last, &piece)) {
            if forward && piece.role == Role::Whole && !titled {
                (piece.lines.start, piece.tokens) = (last.lines.start, piece.tokens + last.tokens);
                *last = piece;
            } else {
                last.lines.end = piece.lines.end;
                last.tokens += piece.tokens;
            }
        } else {
            out.push(piece);
        }
    }
    // What is still small and belongs to no one's front goes to the one before it.
    let mut joined: Vec<Piece> = Vec::with_capacity(out.len());
    for piece in out {
        match joined.last_mut() {
            Some(last)
                if piece.role != Role::Whole
                    && piece.tokens < floor
                    && last.around == piece.around
                    && fits(last, &piece) =>
            {
                last.lines.end = piece.lines.end;
                last.tokens += piece.tokens;
            }
            _ => joined.push(piece),
        }
    }
    joined
}
