//! One member of one object in a JSON file, put in or taken out as text: comments, order and
//! layout of all else stay byte by byte. Reads what editors read: comments and trailing commas.
//! Pure.

use std::ops::Range;

/// Deeper than any configuration.
const MAX_DEPTH: usize = 128;

/// A value and where it is.
#[derive(Debug)]
struct Node {
    span: Range<usize>,
    /// Members, if it is an object.
    members: Option<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    key: String,
    /// From the key's quote to the value's end.
    span: Range<usize>,
    value: Node,
    /// Where the comma after it is.
    comma: Option<usize>,
}

/// `text` with the member `name` of the object `section` set to `value`, JSON on several
/// lines; `text` itself where it is that already. An error says what is wrong with the file.
pub(super) fn set(text: &str, section: &str, name: &str, value: &str) -> Result<String, String> {
    let member = |indent: &str| format!("\"{name}\": {}", value.replace('\n', &format!("\n{indent}")));
    if text.trim().is_empty() {
        return Ok(format!("{{\n  \"{section}\": {{\n    {}\n  }}\n}}\n", member("    ")));
    }
    let root = parse(text)?;
    let unit = unit(text, &root);
    let Some(section_node) = find(&root, section)? else {
        let inner = format!("\"{section}\": {{\n{unit}{unit}{}\n{unit}}}", member(&unit.repeat(2)));
        return insert(text, &root, "", &unit, &inner);
    };
    match find(section_node, name)? {
        Some(old) => {
            let value = value.replace('\n', &format!("\n{}", unit.repeat(2)));
            let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            if same(&text[old.span.clone()]).is_some_and(|old| Some(old) == same(&value)) {
                return Ok(text.to_owned());
            }
            Ok(format!("{}{value}{}", &text[..old.span.start], &text[old.span.end..]))
        }
        None => insert(text, section_node, &unit, &unit.repeat(2), &member(&unit.repeat(2))),
    }
}

/// `text` without the member `name` of the object `section`, and without the section where
/// nothing else is in it; `None` where it is not there.
pub(super) fn remove(text: &str, section: &str, name: &str) -> Result<Option<String>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let root = parse(text)?;
    let Some(node) = find(&root, section)? else { return Ok(None) };
    let Some(at) = members(node, section)?.iter().position(|member| member.key == name) else {
        return Ok(None);
    };
    Ok(Some(cut(text, members(node, section)?, at)))
}

/// The text of the member `name` of the object `section`; `None` where it is not there.
pub(super) fn get<'a>(text: &'a str, section: &str, name: &str) -> Option<&'a str> {
    let root = parse(text).ok()?;
    let node = find(find(&root, section).ok()??, name).ok()??;
    Some(&text[node.span.clone()])
}

fn cut(text: &str, members: &[Member], at: usize) -> String {
    let member = &members[at];
    let mut gone: Vec<Range<usize>> = Vec::new();
    // From the end of the line before.
    let start = text[..member.span.start].trim_end_matches([' ', '\t', '\n', '\r']).len();
    gone.push(start..member.comma.map_or(member.span.end, |comma| comma + 1));
    // The last one's predecessor has no successor any more.
    if member.comma.is_none()
        && let Some(comma) = at.checked_sub(1).and_then(|before| members[before].comma)
    {
        match comma + 1 == start {
            true => gone[0].start = comma,
            false => gone.insert(0, comma..comma + 1),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for range in gone {
        out.push_str(&text[done..range.start]);
        done = range.end;
    }
    out + &text[done..]
}

/// Puts a member last into an object.
fn insert(text: &str, object: &Node, outer: &str, indent: &str, member: &str) -> Result<String, String> {
    let members = members(object, "it")?;
    let close = object.span.end - 1;
    // Behind comments, too.
    let end = text[..close].trim_end_matches([' ', '\t', '\n', '\r']).len();
    let body = format!("\n{indent}{member}\n{outer}");
    Ok(match members.last() {
        Some(last) if last.comma.is_none() => {
            let comma = last.span.end;
            format!("{},{}{body}{}", &text[..comma], &text[comma..end], &text[close..])
        }
        // None, or one with a comma that needs no other.
        _ => format!("{}{body}{}", &text[..end], &text[close..]),
    })
}

/// What one level is indented by.
fn unit(text: &str, root: &Node) -> String {
    let first = root.members.iter().flatten().next();
    let indent = first.map(|member| {
        let line = text[..member.span.start].rfind('\n').map_or(member.span.start, |newline| newline + 1);
        &text[line..member.span.start]
    });
    match indent.filter(|indent| !indent.is_empty() && indent.chars().all(|c| matches!(c, ' ' | '\t'))) {
        Some(indent) => indent.to_owned(),
        None => "  ".to_owned(),
    }
}

fn members<'a>(node: &'a Node, what: &str) -> Result<&'a [Member], String> {
    node.members.as_deref().ok_or_else(|| format!("{what} is not an object"))
}

fn find<'a>(node: &'a Node, key: &str) -> Result<Option<&'a Node>, String> {
    let mut found = members(node, "what has to be an object")?.iter().filter(|member| member.key == key);
    let first = found.next();
    match found.next() {
        Some(_) => Err(format!("{key:?} stands there twice")),
        None => Ok(first.map(|member| &member.value)),
    }
}

fn parse(text: &str) -> Result<Node, String> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let node = reader.skip().and_then(|()| reader.value(0)).and_then(|node| {
        reader.skip()?;
        match reader.at == text.len() {
            true => Ok(node),
            false => Err("more follows after its end".to_owned()),
        }
    });
    node.map_err(|why| {
        let line = text[..reader.at.min(text.len())].matches('\n').count() + 1;
        format!("line {line}: {why}")
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips blank space and comments.
    fn skip(&mut self) -> Result<(), String> {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").ok_or("a comment does not end")? + 2;
            } else if rest.starts_with([' ', '\t', '\n', '\r']) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let start = self.at;
        let members = match self.peek() {
            Some(b'{') => Some(self.object(depth)?),
            Some(b'[') => {
                self.at += 1;
                self.list(b']', |reader| reader.value(depth + 1).map(drop))?;
                None
            }
            Some(b'"') => {
                self.string()?;
                None
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
                let word = &rest[..end.unwrap_or(rest.len())];
                if serde_json::from_str::<serde_json::Value>(word).is_err() {
                    return Err("a value is expected".to_owned());
                }
                self.at += word.len();
                None
            }
        };
        Ok(Node { span: start..self.at, members })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, String> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        let commas = self.list(b'}', |reader| {
            let start = reader.at;
            let key = reader.string()?;
            reader.skip()?;
            if reader.peek() != Some(b':') {
                return Err("`:` is expected".to_owned());
            }
            reader.at += 1;
            reader.skip()?;
            let value = reader.value(depth + 1)?;
            members.push(Member { key, span: start..reader.at, value, comma: None });
            Ok(())
        })?;
        for (member, comma) in members.iter_mut().zip(commas) {
            member.comma = Some(comma);
        }
        Ok(members)
    }

    /// Items up to `close`; where the commas are.
    fn list(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<Vec<usize>, String> {
        let mut commas = Vec::new();
        loop {
            self.skip()?;
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(commas);
            }
            item(self)?;
            self.skip()?;
            match self.peek() {
                Some(b',') => {
                    commas.push(self.at);
                    self.at += 1;
                }
                Some(next) if next == close => {}
                _ => return Err(format!("`,` or `{}` is expected", close as char)),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err("a string is expected".to_owned());
        }
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => return Err("a string does not end".to_owned()),
            }
        }
        self.at += 1;
        serde_json::from_str(&self.text[start..self.at]).map_err(|error| format!("not a string: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "{\n  \"command\": \"x\"\n}";

    fn set_it(text: &str) -> Result<String, String> {
        set(text, "servers", "ours", VALUE)
    }

    #[test]
    fn all_else_stays() {
        let cases = [
            ("", "{\n  \"servers\": {\n    \"ours\": {\n      \"command\": \"x\"\n    }\n  }\n}\n"),
            ("{}", "{\n  \"servers\": {\n    \"ours\": {\n      \"command\": \"x\"\n    }\n  }\n}"),
            (
                "{\n\t// a note\n\t\"a\": 1, // one\n\t\"servers\": { /* none */ }\n}\n",
                "{\n\t// a note\n\t\"a\": 1, // one\n\t\"servers\": { /* none */\n\t\t\"ours\": {\n\t\t  \"command\": \"x\"\n\t\t}\n\t}\n}\n",
            ),
            (
                "{\n  \"servers\": {\n    \"other\": {\"u\": \"{//}\"} // theirs\n  }\n}\n",
                "{\n  \"servers\": {\n    \"other\": {\"u\": \"{//}\"}, // theirs\n    \"ours\": {\n      \"command\": \"x\"\n    }\n  }\n}\n",
            ),
            (
                "{\"servers\": {\"other\": 1,},}",
                "{\"servers\": {\"other\": 1,\n    \"ours\": {\n      \"command\": \"x\"\n    }\n  },}",
            ),
        ];
        for (text, expected) in cases {
            let with = set_it(text).expect("well-formed");
            assert_eq!(with, expected, "{text}");
            assert_eq!(set_it(&with).as_ref(), Ok(&with), "again: {text}");
            let without = remove(&with, "servers", "ours").expect("well-formed").expect("it is there");
            parse(&without).expect("still well-formed");
            assert_eq!(without.contains("theirs"), text.contains("theirs"), "{text}");
            assert!(!without.contains("ours"), "{without}");
        }
    }

    #[test]
    fn another_value_is_replaced_where_it_is() {
        let text = "{\"servers\": {\"ours\": {\"command\": \"y\"}, \"z\": 0}} // end";
        let expected = "{\"servers\": {\"ours\": {\n      \"command\": \"x\"\n    }, \"z\": 0}} // end";
        assert_eq!(set_it(text).as_deref(), Ok(expected));
        assert_eq!(remove(text, "servers", "ours"), Ok(Some("{\"servers\": { \"z\": 0}} // end".to_owned())));
    }

    #[test]
    fn what_is_malformed_is_told_with_its_line() {
        for text in [
            "{",
            "[]",
            "{\"a\": }",
            "{\n\"servers\": []}",
            "{\"servers\": 1}",
            "{} x",
            "/* ",
            "{\"a\" 1}",
            "{\"a\": \"",
            "{\"a\": 1 \"b\": 2}",
            "{a: 1}",
            "\"\\",
            "{\"servers\": {}, \"servers\": {}}",
        ] {
            assert!(set_it(text).is_err(), "{text}");
        }
        assert_eq!(set_it("{\n  \"a\": ?\n}"), Err("line 2: a value is expected".to_owned()));
        assert!(set_it(&"[".repeat(100_000)).is_err());
    }
}
