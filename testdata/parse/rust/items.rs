// Copyright notice.

//! Reads settings from files.
//!
//! Second paragraph.

use std::fmt;

/// How many times to try.
pub const RETRIES: u32 = 3;
static NAME: &str = "x";

/// A setting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Setting<T>
where
    T: Clone,
{
    /// Its key.
    pub key: String,
    value: T,
}

pub struct Unit;

#[derive(Debug)] pub enum Kind { File, Env }

// A plain comment above.
impl<T: Clone> Setting<T> {
    /// Makes one.
    pub fn new(key: &str, value: T) -> Self {
        const LOCAL: u8 = 1;
        fn inner(key: &str) -> String {
            key.to_owned()
        }
        Setting { key: inner(key), value }
    }

    pub async unsafe fn late(&self) {}
}

impl<T> fmt::Display for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

pub trait Source {
    type Item;
    fn read(&self) -> Option<Self::Item>;
    /// Has a default.
    fn name(&self) -> &str {
        "source"
    }
}

pub type Settings = Vec<Setting<String>>;

/// Makes a pair.
#[macro_export]
macro_rules! pair {
    ($a:expr) => { ($a, $a) };
}

mod declared;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works() {}
}

union Bits { a: u32, b: f32 }

extern "C" fn callback(x: i32) -> i32 { x }
