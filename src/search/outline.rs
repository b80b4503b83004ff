//! What a file defines, from its text as it is now. Pure.

use crate::chunk;
use crate::language::Language;
use crate::path::RepoPath;

/// A definition, in lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlined {
    /// First and last line, from 1, both included.
    pub lines: (u32, u32),
    /// Kind, such as `function`; `section` in Markdown.
    pub kind: &'static str,
    /// Name as written.
    pub name: String,
    /// Name with those of the enclosing symbols, joined as the language writes it.
    pub full_name: String,
    /// Signature on one line.
    pub signature: String,
    /// How many symbols are around it.
    pub depth: usize,
}

/// The definitions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// By start, outer ones first.
    pub symbols: Vec<Outlined>,
    /// Lines of the file.
    pub lines: u32,
}

impl Outline {
    /// The definitions in `text`, the content of the file at `path`.
    pub fn of(path: &RepoPath, text: &str) -> Outline {
        let language = Language::of(path);
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_at = |byte: usize| starts.partition_point(|start| *start <= byte) as u32;
        let symbols = chunk::symbols(language, text).into_iter().map(|symbol| {
            let last = symbol.bytes.end.saturating_sub(1).max(symbol.bytes.start);
            let mut names = symbol.container.clone();
            names.push(symbol.name.clone());
            Outlined {
                lines: (line_at(symbol.bytes.start), line_at(last)),
                kind: symbol.kind,
                full_name: names.join(chunk::joint(language)),
                name: symbol.name,
                signature: symbol.signature,
                depth: symbol.container.len(),
            }
        });
        Outline { symbols: symbols.collect(), lines: text.lines().count() as u32 }
    }
}

/// The innermost of `symbols` around a line.
pub fn enclosing(symbols: &[Outlined], line: u32) -> Option<&Outlined> {
    let around = symbols.iter().filter(|symbol| symbol.lines.0 <= line && line <= symbol.lines.1);
    around.min_by_key(|symbol| symbol.lines.1 - symbol.lines.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_in_lines() {
        let path = RepoPath::new("src/a.rs").expect("well-formed");
        let text = "use x;\n\nimpl A {\n    /// Does.\n    fn b(&self) {\n        c()\n    }\n}\n";
        let outline = Outline::of(&path, text);
        let told: Vec<_> =
            outline.symbols.iter().map(|s| (s.lines, s.kind, s.full_name.as_str(), s.depth)).collect();
        assert_eq!(told, [((3, 8), "impl", "A", 0), ((4, 7), "method", "A::b", 1)]);
        let around = |line| enclosing(&outline.symbols, line).map(|symbol| symbol.name.as_str());
        assert_eq!([1, 3, 6, 8, 99].map(around), [None, Some("A"), Some("b"), Some("A"), None]);
    }
}
