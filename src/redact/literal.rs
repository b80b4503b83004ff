//! Whether a literal value is a secret in earnest: by its characters alone.

/// Words that mark a value as a stand-in.
const STAND_INS: &[&str] = &[
    "****",
    "....",
    "change_me",
    "changeit",
    "changeme",
    "dummy",
    "example",
    "insert",
    "placeholder",
    "redacted",
    "replace",
    "xxxx",
    "your-",
    "your_",
    "yourpass",
];

/// Whether `value` is a stand-in or is computed: `<token>`, `${TOKEN}`, `{{ x }}`, `%s`, `changeme`.
pub(super) fn is_placeholder(value: &str) -> bool {
    let computed = value.starts_with(['$', '<', '%', '@', '#', '&', '{', '[', '('])
        || ["${", "$(", "{{", "}}", "#{", "%(", "%s", "\\(", "{}", "env."]
            .iter()
            .any(|mark| value.contains(mark))
        || (value.contains('{') && value.contains('}'));
    let lower = value.to_ascii_lowercase();
    let first = value.as_bytes().first();
    let repeated = value.bytes().all(|b| Some(&b) == first);
    computed || repeated || STAND_INS.iter().any(|word| lower.contains(word))
}

struct Shape {
    lower: usize,
    upper: usize,
    digits: usize,
    symbols: usize,
}

fn shape(value: &str) -> Shape {
    let mut shape = Shape { lower: 0, upper: 0, digits: 0, symbols: 0 };
    for c in value.chars() {
        match c {
            _ if c.is_lowercase() => shape.lower += 1,
            _ if c.is_uppercase() => shape.upper += 1,
            _ if c.is_numeric() => shape.digits += 1,
            // What joins words is no symbol of a password.
            '_' | '-' | '.' | '/' | ':' => {}
            _ => shape.symbols += 1,
        }
    }
    shape
}

/// A literal that a password variable may hold: not words, not a placeholder.
pub(super) fn is_password(value: &str) -> bool {
    let length = value.chars().count();
    if !(6..=256).contains(&length) || value.chars().any(char::is_whitespace) || is_placeholder(value) {
        return false;
    }
    let shape = shape(value);
    let letters = shape.lower + shape.upper;
    letters > 0 && (shape.digits > 0 || shape.symbols > 0) || is_random(value)
}

/// A literal that a token or key variable may hold: long, of mixed characters, random.
pub(super) fn is_token(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.+/=:~!@#$%^&*".contains(c);
    (16..=4_096).contains(&value.len())
        && value.chars().all(plain)
        && !is_placeholder(value)
        && is_random(value)
}

/// Mixed classes of characters and much information in each: not words of a language,
/// an identifier or a path.
pub(super) fn is_random(value: &str) -> bool {
    let shape = shape(value);
    let hex = value.len() >= 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
    let letters = shape.lower + shape.upper;
    // Words rarely hold digits in several places.
    let switches = value
        .as_bytes()
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    let digits = shape.digits * 12 >= value.len() && letters > 0 && switches >= 3;
    let cased = shape.lower > 0 && shape.upper > 0 && value.len() >= 24 && shape.digits > 0;
    value.len() >= 16 && (hex || digits || cased) && entropy(value) >= if hex { 2.5 } else { 3.2 }
}

/// Shannon entropy of the bytes, in bits each.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len().max(1) as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|p| -p * p.log2())
        .sum()
}
