//! What each leg and each rule counts, by the kind of query. Where the numbers come from, and
//! how flat they are, is in `benches/quality/README.md`; `cargo bench --bench quality` measures it.

use crate::search::kind::QueryKind;
use crate::search::location::Role;
use crate::search::query::Query;

/// How much each leg and each rule counts. Scores before the rules are in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Weight of the BM25 leg in the fusion.
    pub lexical: f32,
    /// Weight of each dense leg in the fusion, in the order of [`crate::embed::Leg::ALL`].
    pub dense: [f32; 2],
    /// Added where the symbol is a name of the query.
    pub symbol: f32,
    /// Added in proportion where the symbol's words are words of the query.
    pub symbol_words: f32,
    /// Added where the path is written in the query.
    pub path: f32,
    /// Added where a line that the query names is in the chunk; the less, the farther it is.
    pub position: f32,
    /// Added where text that the query quotes is in the chunk.
    pub literal: f32,
    /// Added the more, the longer a run of the query's words is in the chunk.
    pub phrase: f32,
    /// Added the more, the more distinct words of the query the path has.
    pub path_words: f32,
    /// Added in proportion to what the file's chunks scored together.
    pub file: f32,
    /// Added in proportion to what was found near the chunk.
    pub neighbours: f32,
    /// Factor on tests.
    pub test: f32,
    /// Factor on examples and benchmarks.
    pub example: f32,
    /// Factor on documents.
    pub documentation: f32,
    /// Factor on settings and data.
    pub configuration: f32,
    /// Factor on code where the query asks for tests, examples or benchmarks, which
    /// then are not demoted; 1 where only half of their demotion goes.
    pub unasked: f32,
    /// Factor on generated and vendored code.
    pub foreign: f32,
    /// Factor on declarations without code.
    pub declaration: f32,
    /// Factor on modules: the head of a file and what else is in none of its symbols, and what
    /// declares a module.
    pub module: f32,
    /// Lines up to which neighbours are one hit; 0 where each stands alone.
    pub join: f32,
    /// Factor on a chunk whose text stands before it already.
    pub copy: f32,
    /// Factor on each further chunk of a file, to the power of how many stand before it.
    pub saturation: f32,
}

impl Weights {
    /// The weights for a kind of query. A question wants files to start reading
    /// at, so further chunks of a file give way; a change wants lines, of which a
    /// file may have several.
    pub fn of(kind: QueryKind) -> Weights {
        let question = Weights {
            lexical: 0.8,
            dense: [0.8, 0.6],
            symbol: 0.6,
            symbol_words: 0.2,
            path: 0.6,
            position: 2.0,
            literal: 0.8,
            phrase: 0.8,
            path_words: 0.4,
            file: 0.3,
            neighbours: 0.15,
            test: 0.5,
            example: 0.5,
            documentation: 0.5,
            configuration: 0.7,
            unasked: 0.6,
            foreign: 0.4,
            declaration: 0.7,
            module: 0.8,
            join: 60.0,
            copy: 0.5,
            saturation: 0.7,
        };
        match kind {
            QueryKind::Symbol => Weights { lexical: 1.0, dense: [0.3, 0.2], symbol: 1.5, ..question },
            QueryKind::Question => question,
            QueryKind::Change => Weights {
                lexical: 1.0,
                dense: [0.3, 0.2],
                symbol: 0.3,
                literal: 0.0,
                phrase: 0.2,
                unasked: 1.0,
                neighbours: 0.0,
                module: 1.0,
                test: 0.35,
                saturation: 0.98,
                ..question
            },
            QueryKind::Error => Weights {
                lexical: 1.0,
                dense: [0.3, 0.2],
                symbol: 0.3,
                symbol_words: 0.1,
                phrase: 1.0,
                unasked: 1.0,
                saturation: 0.98,
                ..question
            },
            QueryKind::Path => Weights {
                dense: [0.0, 0.0],
                path: 2.0,
                documentation: 0.9,
                test: 0.9,
                example: 0.9,
                configuration: 0.9,
                saturation: 0.95,
                ..question
            },
        }
    }

    /// No rule at all: the order of the legs.
    pub const NONE: Weights = Weights {
        lexical: 1.0,
        dense: [1.0, 1.0],
        symbol: 0.0,
        symbol_words: 0.0,
        path: 0.0,
        position: 0.0,
        literal: 0.0,
        phrase: 0.0,
        path_words: 0.0,
        file: 0.0,
        neighbours: 0.0,
        test: 1.0,
        example: 1.0,
        documentation: 1.0,
        configuration: 1.0,
        unasked: 1.0,
        foreign: 1.0,
        declaration: 1.0,
        module: 1.0,
        join: 0.0,
        copy: 1.0,
        saturation: 1.0,
    };

    pub(super) fn role(&self, role: Role, query: &Query) -> f32 {
        let wants = query.wants;
        let (factor, wanted) = match role {
            Role::Source => (1.0, true),
            Role::Test => (self.test, wants.tests),
            Role::Example => (self.example, wants.examples),
            Role::Benchmark => (self.example, wants.benchmarks),
            Role::Documentation => (self.documentation, wants.documentation),
            Role::Configuration => (self.configuration, wants.configuration),
            Role::Generated | Role::Vendored => (self.foreign, false),
            Role::Declaration => (self.declaration, false),
        };
        // A question for tests is about tests; a commit that speaks of them changes code as well.
        // Documents are not among them: "documentation" is what many programs are about.
        let meant = wants.tests || wants.examples || wants.benchmarks;
        match wanted {
            true if role == Role::Source && meant => self.unasked,
            true if role == Role::Source => 1.0,
            true if meant && self.unasked < 1.0 => 1.0,
            true => factor.sqrt(),
            false => factor,
        }
    }
}
