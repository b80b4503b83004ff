//! Tokens of a text by a model's own tokenizer, without the model. Exact, and
//! fast enough to be asked for every candidate chunk. Must not truncate.
//!
//! BERT's tokenizer treats what stands between blanks apart from the rest, and
//! within ASCII a word apart from its neighbours; so its counts add up, and a
//! word seen once need not be tokenized again. Whatever leaves that ground
//! (another kind of tokenizer, other scripts, control characters, a special
//! token's name in the text) is counted by the tokenizer itself.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokenizers::Tokenizer;

use super::EmbedError;

/// Words remembered; about 3 MB.
const MEMO_WORDS: usize = 1 << 16;
/// Longer words go to the tokenizer every time.
const MEMO_BYTES: usize = 16;

/// Counts tokens: about 50 MB of code a CPU-second once the words are known. A clone is cheap, shares the memory of words, and can be used
/// from any thread.
#[derive(Clone)]
pub struct TokenCounter {
    inner: Arc<Inner>,
    /// What the model is given before each text.
    prompt: Arc<str>,
}

struct Inner {
    tokenizer: Tokenizer,
    path: PathBuf,
    bert: Option<Bert>,
}

/// What the fast way needs to know of a BERT tokenizer.
struct Bert {
    lowercase: bool,
    special_tokens: usize,
    /// Contents that are matched in the raw text before anything else.
    added: Vec<String>,
    words: RwLock<Words>,
}

type Words = HashMap<u128, u8, BuildHasherDefault<WordHasher>>;

/// Multiply and fold, over the one 16-byte integer that a word is.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, word: u128) {
        let low = (word as u64 ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let high = ((word >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let mixed = (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl TokenCounter {
    /// Reads `tokenizer.json` at `path`. Its truncation and padding are ignored.
    pub fn from_file(path: &Path) -> Result<TokenCounter, EmbedError> {
        let json = match std::fs::read(path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(EmbedError::NotInstalled {
                    what: "the model's tokenizer".to_owned(),
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(super::files::damaged(path, error.to_string())),
        };
        TokenCounter::from_json(path, &json)
    }

    /// `json` is the content of a `tokenizer.json`; `path` names it in errors.
    pub fn from_json(path: &Path, json: &[u8]) -> Result<TokenCounter, EmbedError> {
        let failed = |reason: String| EmbedError::Model { path: path.to_owned(), reason };
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| failed(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| failed(error.to_string()))?;
        let description: serde_json::Value =
            serde_json::from_slice(json).map_err(|error| failed(error.to_string()))?;
        let inner = Arc::new(Inner { tokenizer, path: path.to_owned(), bert: None });
        let mut counter = TokenCounter { inner, prompt: "".into() };
        let special_tokens = counter.by_tokenizer("", true);
        if let (Some(bert), Some(inner)) =
            (Bert::of(&description, special_tokens), Arc::get_mut(&mut counter.inner))
        {
            inner.bert = Some(bert);
        }
        Ok(counter)
    }

    /// Counts with each text what a model is given before it.
    pub(super) fn with_prompt(self, prompt: &str) -> TokenCounter {
        TokenCounter { prompt: prompt.into(), ..self }
    }

    /// The `tokenizer.json` it was made from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Tokens of `text` as the model reads it: with special ones, and what is put before it.
    pub fn count(&self, text: &str) -> usize {
        match &*self.prompt {
            "" => self.count_alone(text),
            prompt => self.count_alone(&[prompt, text].concat()),
        }
    }

    /// Tokens of `text` alone, special ones included.
    pub(super) fn count_alone(&self, text: &str) -> usize {
        match &self.inner.bert {
            Some(bert) if !bert.names_added_token(text) => self.by_words(bert, text),
            _ => self.by_tokenizer(text, true),
        }
    }

    fn by_tokenizer(&self, text: &str, special: bool) -> usize {
        match self.inner.tokenizer.encode_fast(text, special) {
            Ok(encoding) => encoding.len(),
            // Only a tokenizer without an unknown token can fail: then a text
            // counts as one token a byte, which keeps it from the model.
            Err(_) => text.len() + 2,
        }
    }

    fn by_words(&self, bert: &Bert, text: &str) -> usize {
        let mut total = bert.special_tokens;
        let mut learned = Vec::new();
        {
            let words = bert.words.read().unwrap_or_else(PoisonError::into_inner);
            for piece in text.split([' ', '\t', '\n', '\r']) {
                total += if piece.bytes().all(|byte| byte.is_ascii_graphic()) {
                    self.ascii_piece(bert, piece, &words, &mut learned)
                } else {
                    self.by_tokenizer(piece, false)
                };
            }
        }
        if !learned.is_empty() {
            let mut words = bert.words.write().unwrap_or_else(PoisonError::into_inner);
            if words.len() + learned.len() > MEMO_WORDS {
                words.clear();
            }
            words.extend(learned.into_iter().take(MEMO_WORDS));
        }
        total
    }

    fn ascii_piece(&self, bert: &Bert, piece: &str, words: &Words, learned: &mut Vec<(u128, u8)>) -> usize {
        let mut total = 0;
        for part in piece.split_inclusive(|c: char| c.is_ascii_punctuation()) {
            let word = match part.as_bytes().split_last() {
                Some((last, word)) if last.is_ascii_punctuation() => {
                    total += 1;
                    &part[..word.len()]
                }
                _ => part,
            };
            if word.is_empty() {
                continue;
            }
            if word.len() > MEMO_BYTES {
                total += self.by_tokenizer(word, false);
                continue;
            }
            let key = bert.key(word.as_bytes());
            total += match words.get(&key) {
                Some(count) => usize::from(*count),
                None => {
                    let count = self.by_tokenizer(word, false);
                    // At most one token a byte, so it fits.
                    learned.push((key, count as u8));
                    count
                }
            };
        }
        total
    }
}

impl Bert {
    /// Whether `description`, a parsed `tokenizer.json`, is BERT's normalizer,
    /// pre-tokenizer and WordPiece, with special tokens that stand for themselves.
    fn of(description: &serde_json::Value, special_tokens: usize) -> Option<Bert> {
        let normalizer = &description["normalizer"];
        let model = &description["model"];
        let is_bert = normalizer["type"] == "BertNormalizer"
            && normalizer["clean_text"] == true
            && description["pre_tokenizer"]["type"] == "BertPreTokenizer"
            && model["type"] == "WordPiece"
            && model["unk_token"].is_string();
        let mut added = Vec::new();
        for token in description["added_tokens"].as_array()? {
            if token["normalized"] != false || token["lstrip"] == true || token["rstrip"] == true {
                return None;
            }
            added.push(token["content"].as_str()?.to_owned());
        }
        is_bert.then(|| Bert {
            lowercase: normalizer["lowercase"] == true,
            special_tokens,
            added,
            words: RwLock::default(),
        })
    }

    fn names_added_token(&self, text: &str) -> bool {
        self.added.iter().any(|token| text.contains(token.as_str()))
    }

    /// The word, as the vocabulary has it, in one integer.
    fn key(&self, word: &[u8]) -> u128 {
        let mut key = [0; MEMO_BYTES];
        key[..word.len()].copy_from_slice(word);
        if self.lowercase {
            key.make_ascii_lowercase();
        }
        u128::from_le_bytes(key)
    }
}
