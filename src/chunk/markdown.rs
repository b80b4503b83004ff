//! Markdown → sections by heading, as symbols: code fences and front matter are
//! respected, the parent headings are the container.

use crate::parse::Symbol;

/// The sections of `text`, each from its heading to the next one of any level.
pub(super) fn sections(text: &str) -> Vec<Symbol> {
    let mut out: Vec<Symbol> = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut open = |level: usize, title: String, start: usize, out: &mut Vec<Symbol>| {
        if let Some(last) = out.last_mut() {
            last.bytes.end = start;
        }
        while parents.last().is_some_and(|(above, _)| *above >= level) {
            parents.pop();
        }
        let container = parents.iter().map(|(_, title)| title.clone()).collect();
        parents.push((level, title.clone()));
        let bytes = start..text.len();
        out.push(Symbol {
            kind: "section",
            name: title,
            container,
            bytes,
            signature: String::new(),
            doc: None,
        });
    };
    let mut fence: Option<(char, usize)> = None;
    let mut front_matter = text.starts_with("---\n") || text.starts_with("---\r\n");
    let mut previous: Option<(usize, &str)> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if front_matter {
            front_matter = number == 0 || !matches!(trimmed, "---" | "...");
            continue;
        }
        if let Some((mark, length)) = fence {
            if run(trimmed, mark) >= length && trimmed.trim_start_matches(mark).is_empty() {
                fence = None;
            }
            previous = None;
            continue;
        }
        let mark = trimmed.chars().next().unwrap_or(' ');
        if matches!(mark, '`' | '~') && run(trimmed, mark) >= 3 {
            fence = Some((mark, run(trimmed, mark)));
            previous = None;
            continue;
        }
        let level = run(trimmed, '#');
        let rest = &trimmed[level..];
        let indented = line.starts_with("    ") || line.starts_with('\t');
        if (1..=6).contains(&level) && !indented && (rest.is_empty() || rest.starts_with([' ', '\t'])) {
            open(level, heading(rest.trim_end_matches('#')), start, &mut out);
            previous = None;
            continue;
        }
        let underlined =
            trimmed.len() >= 3 && (run(trimmed, '=') == trimmed.len() || run(trimmed, '-') == trimmed.len());
        if let (true, Some((title_start, title))) = (underlined, previous) {
            open(if mark == '=' { 1 } else { 2 }, heading(title), title_start, &mut out);
            previous = None;
            continue;
        }
        // A paragraph of one line may turn out to be a heading underlined by the next.
        let paragraph =
            !trimmed.is_empty() && !indented && !trimmed.starts_with(['-', '*', '+', '>', '|', '<']);
        previous = match previous {
            None if paragraph => Some((start, trimmed)),
            _ => None,
        };
    }
    out
}

fn run(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

/// A heading's words: links and code marks removed.
fn heading(text: &str) -> String {
    let mut out = String::new();
    let mut target = 0;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ']' if chars.peek() == Some(&'(') => target += 1,
            ')' if target > 0 => target -= 1,
            _ if target > 0 => {}
            '`' | '[' | ']' => {}
            _ => out.push(c),
        }
    }
    let out = out.trim_matches(['*', '_', ' ']).trim();
    out.chars().take(200).collect()
}
