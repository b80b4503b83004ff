//! The configuration file as typed: every key optional, unknown keys refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::http::HttpTable;
use super::store::StoreTable;
use super::{
    ConfigError, DEFAULTS, EmbedSettings, Environment, IndexSettings, LogSettings, ModelSettings,
    QdrantSettings, Settings, TraceSettings, WatchSettings, absolute, base, directory,
};

/// The one model that packages carry.
const PACKAGED_MODEL: &str = "all-minilm-l6-v2";

/// A configuration file. [`DEFAULTS`] documents each key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    data_dir: Option<PathBuf>,
    index: Index,
    embed: Embed,
    store: StoreTable,
    search: Search,
    log: Log,
    traces: Traces,
    watch: Watch,
    http: HttpTable,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Index {
    max_file_bytes: Option<u64>,
    max_chunk_tokens: Option<usize>,
    threads: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Embed {
    model_dir: Option<PathBuf>,
    runtime: Option<PathBuf>,
    threads: Option<usize>,
    cache_max_bytes: Option<u64>,
    text: Model,
    code: Model,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Model {
    source: Option<String>,
    model: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    limit: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Log {
    filter: Option<String>,
    format: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Traces {
    endpoint: Option<String>,
    query_text: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Watch {
    events: Option<bool>,
    poll_seconds: Option<u64>,
    poll_unwatched_seconds: Option<u64>,
    max_watches: Option<usize>,
    keep_days: Option<u64>,
    max_load: Option<f64>,
    min_battery: Option<u8>,
    unload_minutes: Option<u64>,
}

impl Options {
    /// The built-in defaults: every key is set.
    pub fn defaults() -> Options {
        toml::from_str(DEFAULTS).unwrap_or_default()
    }

    /// Parses the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Options, ConfigError> {
        toml::from_str(text)
            .map_err(|error| ConfigError::Parse { path: path.to_path_buf(), message: error.to_string() })
    }

    /// Puts the keys that `over` sets in place of one's own.
    pub fn merge(&mut self, over: Options) {
        macro_rules! take {
            ($($($field:ident).+),* $(,)?) => { $(if over.$($field).+.is_some() { self.$($field).+ = over.$($field).+; })* };
        }
        take!(data_dir, index.max_file_bytes, index.max_chunk_tokens, index.threads);
        take!(embed.model_dir, embed.runtime, embed.threads, embed.cache_max_bytes, search.limit);
        take!(embed.text.source, embed.text.model, embed.text.path);
        take!(embed.code.source, embed.code.model, embed.code.path, log.filter, log.format);
        take!(traces.endpoint, traces.query_text);
        take!(store.provider, store.qdrant.url, store.qdrant.api_key_file, store.qdrant.ca_file);
        take!(store.qdrant.prefix, store.qdrant.layout, store.qdrant.timeout_seconds);
        take!(store.qdrant.connect_timeout_seconds, store.qdrant.retries, store.qdrant.batch_bytes);
        take!(store.qdrant.approximate_above, store.qdrant.quantization, store.qdrant.on_disk_vectors);
        take!(store.qdrant.on_disk_payload, store.qdrant.shard_number, store.qdrant.replication_factor);
        take!(store.qdrant.write_consistency_factor);
        take!(watch.events, watch.poll_seconds, watch.poll_unwatched_seconds, watch.max_watches);
        take!(http.listen, http.tls_cert, http.tls_key, http.allow_plaintext, http.allowed_hosts);
        take!(http.max_body_bytes, http.timeout_seconds, http.max_connections, http.max_requests);
        take!(http.requests_per_second);
        take!(watch.keep_days, watch.max_load, watch.min_battery, watch.unload_minutes);
    }

    /// The Qdrant server's settings alone.
    pub(super) fn resolve_qdrant(self, env: Environment<'_>) -> Result<QdrantSettings, ConfigError> {
        self.store.qdrant.resolve(env)
    }

    pub(super) fn resolve(
        self,
        env: Environment<'_>,
        data_dir: Option<&Path>,
    ) -> Result<Settings, ConfigError> {
        let from_env = |name: &str| env(name).map(PathBuf::from);
        let typed = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let data_dir =
            data_dir.map(Path::to_path_buf).or_else(|| from_env("INDEXER_DATA_DIR")).or(typed(self.data_dir));
        let model_dir = from_env("INDEXER_MODEL_DIR").or(typed(self.embed.model_dir));
        Ok(Settings {
            data_dir: match data_dir {
                Some(dir) => absolute(&dir),
                None => base(env, "XDG_DATA_HOME", ".local/share")?,
            },
            index: IndexSettings {
                max_file_bytes: at_least("index.max_file_bytes", self.index.max_file_bytes, 1)?,
                max_chunk_tokens: at_least("index.max_chunk_tokens", self.index.max_chunk_tokens, 64)?,
                threads: threads(self.index.threads, 8),
            },
            embed: EmbedSettings {
                model_dir: match model_dir {
                    Some(dir) => absolute(&dir),
                    None => base(env, "XDG_CACHE_HOME", ".cache")?.join("models"),
                },
                runtime: typed(self.embed.runtime).map(|path| absolute(&path)),
                threads: threads(self.embed.threads, 4),
                cache_max_bytes: at_least("embed.cache_max_bytes", self.embed.cache_max_bytes, 1 << 20)?,
                text: self
                    .embed
                    .text
                    .resolve(["embed.text.source", "embed.text.model", "embed.text.path"])?
                    .ok_or_else(|| {
                        let message =
                            "the text leg cannot be off; `--lexical-only` leaves it out of a run".to_owned();
                        ConfigError::Value { key: "embed.text.source", message }
                    })?,
                code: self.embed.code.resolve([
                    "embed.code.source",
                    "embed.code.model",
                    "embed.code.path",
                ])?,
            },
            store: self.store.resolve(env)?,
            search_limit: at_least("search.limit", self.search.limit, 1)?,
            log: LogSettings {
                filter: env("INDEXER_LOG")
                    .map(|value| value.to_string_lossy().into_owned())
                    .or(self.log.filter)
                    .filter(|filter| !filter.is_empty()),
                json: match self.log.format.as_deref().unwrap_or_default() {
                    "text" => false,
                    "json" => true,
                    other => {
                        let message = format!("{other:?} is neither \"text\" nor \"json\"");
                        return Err(ConfigError::Value { key: "log.format", message });
                    }
                },
            },
            traces: TraceSettings {
                endpoint: env("OTEL_EXPORTER_OTLP_ENDPOINT")
                    .map(|value| value.to_string_lossy().into_owned())
                    .or(self.traces.endpoint)
                    .filter(|endpoint| !endpoint.is_empty()),
                query_text: self.traces.query_text.unwrap_or_default(),
            },
            watch: self.watch.resolve()?,
            http: self.http.resolve(env)?,
            no_color: env("NO_COLOR").is_some(),
            home: directory(env, "HOME"),
            config_home: directory(env, "XDG_CONFIG_HOME")
                .or_else(|| directory(env, "HOME").map(|home| home.join(".config"))),
        })
    }
}

impl Watch {
    fn resolve(self) -> Result<WatchSettings, ConfigError> {
        let seconds = |key, value| Ok(Duration::from_secs(at_least(key, value, 1)?));
        let within = |key, value: f64, most: f64| match (0.0..=most).contains(&value) {
            true => Ok(value),
            false => Err(ConfigError::Value { key, message: format!("{value} is not from 0 to {most}") }),
        };
        let load = within("watch.max_load", self.max_load.unwrap_or_default(), 1e6)?;
        let battery = within("watch.min_battery", self.min_battery.unwrap_or_default().into(), 100.0)?;
        let some = |value: f64| (value > 0.0).then_some(value);
        Ok(WatchSettings {
            events: self.events.unwrap_or(true),
            poll: seconds("watch.poll_seconds", self.poll_seconds)?,
            poll_unwatched: seconds("watch.poll_unwatched_seconds", self.poll_unwatched_seconds)?,
            max_watches: self.max_watches.filter(|watches| *watches > 0),
            keep: Duration::from_secs(self.keep_days.unwrap_or_default().min(36_500) * 86_400),
            max_load: some(load),
            min_battery: some(battery).map(|percent| percent as u8),
            unload: self
                .unload_minutes
                .filter(|minutes| *minutes > 0)
                .map(|minutes| Duration::from_secs(minutes.min(1 << 20) * 60)),
        })
    }
}

impl Model {
    fn resolve(
        self,
        [source_key, model_key, path_key]: [&'static str; 3],
    ) -> Result<Option<ModelSettings>, ConfigError> {
        let name = self.model.unwrap_or_default();
        let path = self.path.unwrap_or_default();
        match self.source.as_deref().unwrap_or_default() {
            "off" => Ok(None),
            "packages" if name == PACKAGED_MODEL => Ok(Some(ModelSettings::Packages(name))),
            "packages" => Err(ConfigError::Value {
                key: model_key,
                message: format!(
                    "{name:?} is not the packaged model {PACKAGED_MODEL:?}; other models come with source hub or local"
                ),
            }),
            "hub" if name.is_empty() => Err(ConfigError::Value {
                key: model_key,
                message: "source \"hub\" needs the model's name in fastembed".into(),
            }),
            "hub" => Ok(Some(ModelSettings::Hub(name))),
            "local" if path.as_os_str().is_empty() => Err(ConfigError::Value {
                key: path_key,
                message: "source \"local\" needs the folder of model.onnx and tokenizer.json".into(),
            }),
            "local" => Ok(Some(ModelSettings::Local(absolute(&path)))),
            other => Err(ConfigError::Value {
                key: source_key,
                message: format!("{other:?} is not one of packages, hub, local, off"),
            }),
        }
    }
}

pub(super) fn at_least<T: PartialOrd + std::fmt::Display + Default>(
    key: &'static str,
    value: Option<T>,
    least: T,
) -> Result<T, ConfigError> {
    let value = value.unwrap_or_default();
    if value < least {
        return Err(ConfigError::Value { key, message: format!("{value} is less than {least}") });
    }
    Ok(value)
}

fn threads(asked: Option<usize>, most: usize) -> usize {
    match asked {
        None | Some(0) => std::thread::available_parallelism().map_or(1, usize::from).min(most),
        Some(threads) => threads.min(256),
    }
}
