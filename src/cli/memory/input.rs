//! Texts from arguments or standard input, and the question before a deletion.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use super::super::error::CliError;
use crate::memory::MAX_CONTENT;

/// A text as given, or all of standard input for `-`.
pub(super) fn text(given: &str) -> Result<String, CliError> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    read(&mut io::stdin().lock())
}

fn read(from: &mut dyn io::Read) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_CONTENT as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| CliError::usage(format!("standard input: {error}")))?;
    if bytes.len() > MAX_CONTENT {
        return Err(CliError::usage(format!("standard input has more than {MAX_CONTENT} bytes"))
            .with_hint("keep the rest in a file of the repository, and refer to it"));
    }
    String::from_utf8(bytes).map_err(|error| {
        CliError::usage(format!(
            "standard input is not UTF-8 text: byte {}",
            error.utf8_error().valid_up_to()
        ))
        .with_hint("`iconv -f latin1 -t utf8` converts a text of another encoding")
    })
}

/// Whether the person at the terminal agrees; where there is none, nobody is asked.
pub(in crate::cli) fn confirmed(question: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    let failed = |error: io::Error| CliError::usage(format!("standard input: {error}"));
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, expected) in
            [("y\n", true), ("Yes", true), ("\n", false), ("", false), ("yesterday", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn standard_input_is_bounded_text() {
        assert_eq!(read(&mut &b"a\nb"[..]).unwrap(), "a\nb");
        assert_eq!(read(&mut &vec![b'x'; MAX_CONTENT][..]).unwrap().len(), MAX_CONTENT);
        for (bytes, expected) in [(vec![b'x'; MAX_CONTENT + 1], "more than"), (b"ok \xff".to_vec(), "byte 3")]
        {
            let error = read(&mut &bytes[..]).unwrap_err();
            assert!(error.to_string().contains(expected) && error.hint().is_some(), "{error}");
        }
    }
}
