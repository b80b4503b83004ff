//! Configuration: file, environment and flags, resolved once into [`Settings`].
//!
//! The only module that reads the environment. What comes out is meant: paths are
//! absolute, zero means nothing any more. Precedence: flag, environment, file, default.

mod http;
mod options;
mod store;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use http::{HttpSettings, TlsFiles};
pub use options::Options;
use options::at_least;
pub use store::{QdrantSettings, Secret, StoreSettings};

/// The commented defaults: also the documentation of the file format.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Environment variables that are read, each with its meaning.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("INDEXER_CONFIG", "configuration file to read instead of the user's"),
    ("INDEXER_DATA_DIR", "where indexes and the embedding cache live (also --data-dir)"),
    ("INDEXER_MODEL_DIR", "where models and ONNX Runtime are installed"),
    ("INDEXER_LOG", "log filter on standard error, such as `info` or `contextd_indexer=debug`"),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "collector that traces go to by OTLP over HTTP, such as `http://127.0.0.1:4318`; none by default",
    ),
    ("INDEXER_QDRANT_URL", "address of a Qdrant server's gRPC port, before store.qdrant.url"),
    ("INDEXER_QDRANT_API_KEY", "its key, before store.qdrant.api_key_file"),
    ("INDEXER_HTTP_LISTEN", "address of the daemon's HTTP door, or `off`, before http.listen"),
    ("NO_COLOR", "any value: no colour, as if --color never"),
    ("XDG_DATA_HOME, XDG_CACHE_HOME, XDG_CONFIG_HOME, HOME", "bases of the default places"),
];

/// What was said on the command line; `None` where nothing was.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// All settings, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where indexes and the embedding cache live.
    pub data_dir: PathBuf,
    /// Indexing.
    pub index: IndexSettings,
    /// Embedding.
    pub embed: EmbedSettings,
    /// Where points rest.
    pub store: StoreSettings,
    /// Hits by default.
    pub search_limit: usize,
    /// Logging.
    pub log: LogSettings,
    /// Traces.
    pub traces: TraceSettings,
    /// The daemon.
    pub watch: WatchSettings,
    /// Its HTTP door.
    pub http: HttpSettings,
    /// Whether `NO_COLOR` is set.
    pub no_color: bool,
    /// The user's home directory, where `HOME` names one.
    pub home: Option<PathBuf>,
    /// The folder of all programs' configuration: `XDG_CONFIG_HOME`, else `~/.config`.
    pub config_home: Option<PathBuf>,
}

/// Settings of logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Filter in `tracing`'s directive syntax, if one was given.
    pub filter: Option<String>,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// Settings of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSettings {
    /// Base address of the collector that they go to by OTLP over HTTP; `None` sends none.
    pub endpoint: Option<String>,
    /// Whether the text of queries is among what they say.
    pub query_text: bool,
}

/// Settings of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchSettings {
    /// Whether file-system events are used.
    pub events: bool,
    /// Between two looks at a worktree.
    pub poll: Duration,
    /// Between two looks at a worktree that is not watched whole.
    pub poll_unwatched: Duration,
    /// Directories watched at most; `None` leaves it to the system's limit.
    pub max_watches: Option<usize>,
    /// How long the index of a removed worktree is kept.
    pub keep: Duration,
    /// Load per core above which no vectors are computed.
    pub max_load: Option<f64>,
    /// Percentage of the battery below which no vectors are computed.
    pub min_battery: Option<u8>,
    /// Time without use after which a model leaves memory.
    pub unload: Option<Duration>,
}

/// Settings of indexing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSettings {
    /// Size cap in bytes.
    pub max_file_bytes: u64,
    /// Token budget of a chunk.
    pub max_chunk_tokens: usize,
    /// Threads that read and parse, at least 1.
    pub threads: usize,
}

/// Settings of embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedSettings {
    /// Root of the installed models.
    pub model_dir: PathBuf,
    /// ONNX Runtime library instead of the installed one.
    pub runtime: Option<PathBuf>,
    /// Threads for the model, at least 1.
    pub threads: usize,
    /// Bound of the embedding cache, bytes.
    pub cache_max_bytes: u64,
    /// Model of the text leg.
    pub text: ModelSettings,
    /// Model of the code leg; `None` where it is off.
    pub code: Option<ModelSettings>,
}

/// Which model, and from where. Another source is never tried in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSettings {
    /// The packaged model of this name, pinned by hash.
    Packages(String),
    /// A model that fastembed downloads, by its name there.
    Hub(String),
    /// A folder with `model.onnx` and `tokenizer.json`.
    Local(PathBuf),
}

/// The configuration cannot be used. Every message names file or variable and key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("{path}: {message}\n`indexer config` prints every key with its default")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A value is out of its range.
    #[error("configuration key {key}: {message}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What is wrong and what is right.
        message: String,
    },
    /// No place for state is known.
    #[error("neither {variable} nor HOME is set: pass --data-dir, or set {variable}")]
    NoHome {
        /// The variable that would help.
        variable: &'static str,
    },
}

/// Resolves the settings from the process environment and `flags`.
pub fn load(flags: &Flags) -> Result<Settings, ConfigError> {
    resolve(flags, &|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

/// Resolves the settings as a process would that has nothing of the environment but `HOME`:
/// what a service manager starts.
pub fn load_without_environment(flags: &Flags) -> Result<Settings, ConfigError> {
    resolve(flags, &|name| std::env::var_os(name).filter(|value| name == "HOME" && !value.is_empty()))
}

/// The configuration file that was named, by flag or environment, instead of the user's.
pub fn named_file(flags: &Flags) -> Option<PathBuf> {
    let named = || std::env::var_os("INDEXER_CONFIG").filter(|value| !value.is_empty());
    flags.config.clone().or_else(|| named().map(PathBuf::from))
}

/// How the Qdrant server is reached that the settings name, whether or not it is the store
/// in use.
pub fn load_qdrant(flags: &Flags) -> Result<QdrantSettings, ConfigError> {
    let env: Environment<'_> = &|name| std::env::var_os(name).filter(|value| !value.is_empty());
    read(flags, env)?.resolve_qdrant(env)
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn resolve(flags: &Flags, env: Environment<'_>) -> Result<Settings, ConfigError> {
    read(flags, env)?.resolve(env, flags.data_dir.as_deref())
}

/// The file over the defaults.
fn read(flags: &Flags, env: Environment<'_>) -> Result<Options, ConfigError> {
    let mut options = Options::defaults();
    let named = flags.config.clone().or_else(|| env("INDEXER_CONFIG").map(PathBuf::from));
    let file = match &named {
        Some(path) => Some(path.clone()),
        None => base(env, "XDG_CONFIG_HOME", ".config").ok().map(|dir| dir.join("config.toml")),
    };
    if let Some(path) = file {
        match std::fs::read_to_string(&path) {
            Ok(text) => options.merge(Options::parse(&text, &path)?),
            // Only a file that was asked for by name has to be there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {}
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
    }
    Ok(options)
}

/// `$variable/contextd-indexer`, else `~/fallback/contextd-indexer`.
fn base(env: Environment<'_>, variable: &'static str, fallback: &str) -> Result<PathBuf, ConfigError> {
    directory(env, variable)
        .or_else(|| directory(env, "HOME").map(|home| home.join(fallback)))
        .map(|dir| dir.join("contextd-indexer"))
        .ok_or(ConfigError::NoHome { variable })
}

/// The absolute path that a variable holds.
fn directory(env: Environment<'_>, variable: &str) -> Option<PathBuf> {
    env(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(file: &str, vars: &[(&str, &str)], flags: &Flags) -> Result<Settings, ConfigError> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let config = dir.path().join("contextd-indexer");
        std::fs::create_dir_all(&config).expect("created");
        std::fs::write(config.join("config.toml"), file).expect("written");
        let env = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some(dir.path().into()),
            "HOME" => Some("/home/u".into()),
            _ => vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
        };
        resolve(flags, &env)
    }

    #[test]
    fn defaults_resolve() {
        let settings = with("", &[], &Flags::default()).expect("valid");
        assert_eq!(settings.data_dir, Path::new("/home/u/.local/share/contextd-indexer"));
        assert_eq!(settings.embed.model_dir, Path::new("/home/u/.cache/contextd-indexer/models"));
        assert_eq!(settings.embed.text, ModelSettings::Packages("all-minilm-l6-v2".into()));
        assert_eq!(settings.embed.code, None);
        assert_eq!(settings.home.as_deref(), Some(Path::new("/home/u")));
        assert!(settings.index.threads >= 1 && settings.embed.threads >= 1);
    }

    #[test]
    fn flag_over_environment_over_file_over_default() {
        let file = "data_dir = \"/file\"\n[index]\nmax_file_bytes = 9\n";
        let env = [("INDEXER_DATA_DIR", "/env")];
        let flags = Flags { data_dir: Some("/flag".into()), ..Flags::default() };
        assert_eq!(with(file, &[], &Flags::default()).expect("valid").data_dir, Path::new("/file"));
        assert_eq!(with(file, &env, &Flags::default()).expect("valid").data_dir, Path::new("/env"));
        let settings = with(file, &env, &flags).expect("valid");
        assert_eq!((settings.data_dir.as_path(), settings.index.max_file_bytes), (Path::new("/flag"), 9));
    }

    #[test]
    fn what_must_not_load() {
        let cases = [
            ("max_file_byte = 1", "max_file_byte"),
            ("[index]\nmax_chunk_tokens = 8", "index.max_chunk_tokens"),
            ("[embed.text]\nsource = \"magic\"", "embed.text.source"),
            ("[embed.text]\nsource = \"off\"", "embed.text.source"),
            ("[embed.code]\nsource = \"local\"", "embed.code.path"),
            ("[embed.text]\nmodel = \"nosuch\"", "embed.text.model"),
            ("[embed.code]\nsource = \"hub\"", "embed.code.model"),
            ("[search]\nlimit = 0", "search.limit"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("[watch]\npoll_seconds = 0", "watch.poll_seconds"),
            ("[watch]\nmin_battery = 101", "watch.min_battery"),
            ("[store]\nprovider = \"sqlite\"", "store.provider"),
            ("[store]\nprovider = \"qdrant\"\n[store.qdrant]\nurl = \"host:6334\"", "store.qdrant.url"),
            ("[store]\nprovider = \"qdrant\"\n[store.qdrant]\nurl = \"http://k@h\"", "store.qdrant.url"),
            ("[store]\nprovider = \"qdrant\"\n[store.qdrant]\nprefix = \"A-\"", "store.qdrant.prefix"),
            ("[store]\nprovider = \"qdrant\"\n[store.qdrant]\nlayout = \"flat\"", "store.qdrant.layout"),
            ("[store]\nprovider = \"qdrant\"\n[store.qdrant]\napi_key_file = \"/no/key\"", "/no/key"),
            ("[http]\nlisten = \"localhost\"", "http.listen"),
            ("[http]\nlisten = \"0.0.0.0:7461\"", "http.tls_cert"),
            ("[http]\nlisten = \"[::]:7461\"", "http.allow_plaintext"),
            ("[http]\ntls_cert = \"/c.pem\"", "http.tls_key"),
            ("[http]\nmax_requests = 0", "http.max_requests"),
            ("not toml", "config.toml"),
        ];
        for (file, expected) in cases {
            let error = with(file, &[], &Flags::default()).expect_err(file).to_string();
            assert!(error.contains(expected), "{file}: {error}");
        }
    }

    #[test]
    fn a_server_is_reached_by_what_the_environment_says_and_its_key_is_never_shown() {
        let file = "[store]\nprovider = \"qdrant\"\n[store.qdrant]\nlayout = \"shared\"\n";
        let env = [("INDEXER_QDRANT_URL", "https://q.example:6334"), ("INDEXER_QDRANT_API_KEY", " k3y\n")];
        let settings = with(file, &env, &Flags::default()).expect("valid");
        let StoreSettings::Qdrant(qdrant) = &settings.store else { panic!("{:?}", settings.store) };
        assert_eq!((qdrant.url.as_str(), qdrant.shared_layout), ("https://q.example:6334", true));
        assert_eq!(qdrant.api_key.as_ref().map(Secret::expose), Some("k3y"));
        assert!(!format!("{settings:?}").contains("k3y"));
        assert_eq!(qdrant.approximate_above, Some(100_000));
        assert_eq!((qdrant.shard_number, &qdrant.ca_file), (None, &None));
        assert_eq!(with("", &env, &Flags::default()).expect("valid").store, StoreSettings::Embedded);
        // It can be had where it is not the store in use.
        let flags = Flags { config: None, ..Flags::default() };
        let unused = read(&flags, &|_| None).and_then(|options| options.resolve_qdrant(&|_| None));
        assert_eq!(unused.expect("the default").url, "http://127.0.0.1:6334");
    }

    #[test]
    fn the_door_is_on_loopback_unless_somebody_says_otherwise() {
        let listen = |file: &str, env: &[(&str, &str)]| {
            let settings = with(file, env, &Flags::default()).expect("valid");
            settings.http.listen.map(|address| address.to_string())
        };
        let default = Some("127.0.0.1:7461".to_owned());
        assert_eq!(listen("", &[]), default);
        assert_eq!(listen("[http]\nlisten = \"off\"", &[]), None);
        assert_eq!(listen("[http]\nlisten = \"\"", &[]), None);
        assert_eq!(listen("", &[("INDEXER_HTTP_LISTEN", "off")]), None);
        assert_eq!(listen("", &[("INDEXER_HTTP_LISTEN", "[::1]:0")]).as_deref(), Some("[::1]:0"));
        for word in ["allow_plaintext = true", "tls_cert = \"/c.pem\"\ntls_key = \"/k.pem\""] {
            let file = format!("[http]\nlisten = \"0.0.0.0:1\"\n{word}");
            assert_eq!(listen(&file, &[]).as_deref(), Some("0.0.0.0:1"), "{word}");
        }
    }

    #[test]
    fn a_file_asked_for_must_exist() {
        let flags = Flags { config: Some("/nowhere/c.toml".into()), ..Flags::default() };
        assert!(matches!(with("", &[], &flags), Err(ConfigError::Read { .. })));
    }
}
