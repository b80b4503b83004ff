//! The language table: which language a path is, and which have a grammar.
//!
//! By path alone, so that a file's language is known before it is read.

use std::fmt;

use crate::path::RepoPath;

macro_rules! languages {
    ($($variant:ident $name:literal [$($ext:literal)*] [$($file:literal)*];)*) => {
        /// A language by file name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Language { $(#[doc = $name] $variant,)* }

        impl Language {
            /// All languages.
            pub const ALL: &[Language] = &[$(Language::$variant,)*];

            /// Stable lower-case name, as in JSON, filters and `queries/`.
            pub fn name(self) -> &'static str {
                match self { $(Language::$variant => $name,)* }
            }

            fn by_extension(extension: &[u8]) -> Option<Language> {
                match extension { $($(ext if ext == $ext.as_bytes() => Some(Language::$variant),)*)* _ => None }
            }

            fn by_file_name(name: &[u8]) -> Option<Language> {
                match name { $($(file if file == $file.as_bytes() => Some(Language::$variant),)*)* _ => None }
            }
        }
    };
}

languages! {
    Rust "rust" ["rs"] [];
    Go "go" ["go"] [];
    TypeScript "typescript" ["ts" "mts" "cts"] [];
    Tsx "tsx" ["tsx"] [];
    JavaScript "javascript" ["js" "mjs" "cjs" "jsx"] [];
    Python "python" ["py" "pyi" "pyw"] ["SConstruct" "SConscript"];
    Markdown "markdown" ["md" "markdown" "mdx" "mkd"] [];
    Text "text" ["txt" "rst" "adoc" "org" "tex"] [];
    Toml "toml" ["toml"] ["Pipfile"];
    Yaml "yaml" ["yaml" "yml"] [];
    Json "json" ["json" "jsonc" "json5" "webmanifest"] [];
    Shell "shell" ["sh" "bash" "zsh" "fish" "ksh"] [".bashrc" ".zshrc" ".profile"];
    Make "make" ["mk" "mak"] ["Makefile" "GNUmakefile" "makefile"];
    Dockerfile "dockerfile" ["dockerfile"] ["Dockerfile" "Containerfile"];
    C "c" ["c" "h"] [];
    Cpp "cpp" ["cc" "cpp" "cxx" "hpp" "hh" "hxx" "cu" "cuh"] [];
    CSharp "csharp" ["cs"] [];
    Java "java" ["java"] [];
    Kotlin "kotlin" ["kt" "kts"] [];
    Scala "scala" ["scala" "sc"] [];
    Swift "swift" ["swift"] [];
    Ruby "ruby" ["rb" "rake" "gemspec"] ["Rakefile" "Gemfile"];
    Php "php" ["php"] [];
    Perl "perl" ["pl" "pm"] [];
    Lua "lua" ["lua"] [];
    Elixir "elixir" ["ex" "exs"] [];
    Erlang "erlang" ["erl" "hrl"] [];
    Haskell "haskell" ["hs"] [];
    OCaml "ocaml" ["ml" "mli"] [];
    Clojure "clojure" ["clj" "cljs" "cljc" "edn"] [];
    Dart "dart" ["dart"] [];
    R "r" ["r" "R"] [];
    Julia "julia" ["jl"] [];
    Zig "zig" ["zig"] [];
    Nix "nix" ["nix"] [];
    Sql "sql" ["sql"] [];
    Html "html" ["html" "htm" "xhtml"] [];
    Css "css" ["css" "scss" "sass" "less"] [];
    Vue "vue" ["vue"] [];
    Svelte "svelte" ["svelte"] [];
    Xml "xml" ["xml" "xsd" "xsl" "svg" "plist"] [];
    Protobuf "protobuf" ["proto"] [];
    GraphQl "graphql" ["graphql" "gql"] [];
    Terraform "terraform" ["tf" "tfvars" "hcl"] [];
    CMake "cmake" ["cmake"] ["CMakeLists.txt"];
    Ini "ini" ["ini" "cfg" "conf" "properties"] [".gitconfig" ".editorconfig"];
}

impl Language {
    /// The language of a path: by whole file name, then by extension (compared
    /// without case where the exact one is unknown); [`Language::Text`] otherwise.
    pub fn of(path: &RepoPath) -> Language {
        let by_extension = || {
            let extension = path.extension()?;
            Language::by_extension(extension)
                .or_else(|| Language::by_extension(&extension.to_ascii_lowercase()))
        };
        Language::by_file_name(path.file_name()).or_else(by_extension).unwrap_or(Language::Text)
    }

    /// The language with this stable name.
    pub fn from_name(name: &str) -> Option<Language> {
        Language::ALL.iter().copied().find(|language| language.name() == name)
    }

    /// Whether symbols are extracted.
    pub fn has_grammar(self) -> bool {
        use Language::{Go, JavaScript, Python, Rust, Tsx, TypeScript};
        matches!(self, Rust | Go | TypeScript | Tsx | JavaScript | Python)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_path() {
        let cases = [
            ("src/main.rs", Language::Rust),
            ("a/b.TSX", Language::Tsx),
            ("Makefile", Language::Make),
            ("x/CMakeLists.txt", Language::CMake),
            ("LICENSE", Language::Text),
            (".rs", Language::Text),
            ("README.md", Language::Markdown),
        ];
        for (path, language) in cases {
            assert_eq!(Language::of(&RepoPath::new(path).expect("well-formed")), language, "{path}");
        }
    }

    #[test]
    fn names_round_trip() {
        for language in Language::ALL {
            assert_eq!(Language::from_name(language.name()), Some(*language));
        }
    }
}
