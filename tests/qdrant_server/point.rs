//! A point: its id, its named vectors, its payload, and how they are read from and
//! written to messages.

use std::collections::BTreeMap;
use std::fmt;

use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::vectors_output;
use ::qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use ::qdrant_client::qdrant::{
    self, DenseVector, NamedVectorsOutput, PointId, SparseVector, VectorOutput, Vectors, VectorsOutput,
    WithVectorsSelector, vector, vector_output,
};
use tonic::Status;

use super::collection::Collection;
use super::path::Payload;

/// In the order of a scroll: numbers, then UUIDs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Num(u64),
    Uuid(u128),
}

impl Id {
    pub(super) fn read(id: &PointId) -> Result<Id, Status> {
        match &id.point_id_options {
            Some(PointIdOptions::Num(number)) => Ok(Id::Num(*number)),
            Some(PointIdOptions::Uuid(text)) => uuid(text)
                .map(Id::Uuid)
                .ok_or_else(|| Status::invalid_argument(format!("Unable to parse UUID: {text}"))),
            None => Err(Status::invalid_argument("No ID options provided")),
        }
    }

    pub(super) fn write(&self) -> PointId {
        PointId {
            point_id_options: Some(match self {
                Id::Num(number) => PointIdOptions::Num(*number),
                Id::Uuid(_) => PointIdOptions::Uuid(self.to_string()),
            }),
        }
    }
}

/// With hyphens or without, in braces, or as an URN.
fn uuid(text: &str) -> Option<u128> {
    let text = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let digits: String = if text.len() == 36 {
        let hyphens = text.match_indices('-').map(|(at, _)| at);
        hyphens.eq([8, 13, 18, 23]).then(|| text.replace('-', ""))?
    } else {
        text.to_owned()
    };
    let whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(&digits, 16).ok())?
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Num(number) => write!(f, "{number}"),
            Id::Uuid(uuid) => {
                let text = format!("{uuid:032x}");
                let (a, b, c, d, e) = (&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
                write!(f, "{a}-{b}-{c}-{d}-{e}")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Vector {
    Dense(Vec<f32>),
    /// By index, ascending.
    Sparse(Vec<(u32, f32)>),
}

#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) vectors: BTreeMap<String, Vector>,
    pub(super) payload: Payload,
    /// Number of the operation that wrote it last.
    pub(super) version: u64,
}

/// Vectors of a request by name. One without a name has the name "".
pub(super) fn read_vectors(vectors: Option<Vectors>) -> Result<BTreeMap<String, Vector>, Status> {
    match vectors.and_then(|vectors| vectors.vectors_options) {
        None => Err(Status::invalid_argument("Expected some vectors")),
        Some(VectorsOptions::Vector(vector)) => Ok(BTreeMap::from([(String::new(), read_vector(vector)?)])),
        Some(VectorsOptions::Vectors(named)) => {
            named.vectors.into_iter().map(|(name, vector)| Ok((name, read_vector(vector)?))).collect()
        }
    }
}

fn read_vector(vector: qdrant::Vector) -> Result<Vector, Status> {
    match vector.vector {
        Some(vector::Vector::Dense(dense)) => Ok(Vector::Dense(dense.data)),
        Some(vector::Vector::Sparse(sparse)) => Ok(Vector::Sparse(sorted(sparse)?)),
        Some(_) => Err(Status::unimplemented("multi-vectors and inference are not served")),
        None => old_vector(vector),
    }
}

/// As clients before 1.16 write it.
#[expect(deprecated, reason = "the real server reads them, too")]
fn old_vector(vector: qdrant::Vector) -> Result<Vector, Status> {
    match vector.indices {
        Some(indices) => {
            sorted(SparseVector { indices: indices.data, values: vector.data }).map(Vector::Sparse)
        }
        None => Ok(Vector::Dense(vector.data)),
    }
}

/// A sparse vector in order of its indices.
pub(super) fn sorted(sparse: SparseVector) -> Result<Vec<(u32, f32)>, Status> {
    let SparseVector { indices, values } = sparse;
    if indices.len() != values.len() {
        return Err(Status::invalid_argument("values: must be the same length as indices"));
    }
    let mut pairs: Vec<(u32, f32)> = indices.into_iter().zip(values).collect();
    pairs.sort_by_key(|(index, _)| *index);
    if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Status::invalid_argument("indices: must be unique"));
    }
    Ok(pairs)
}

/// Of length 1, as cosine vectors are kept; one that is zero or so long already stays as it is.
pub(super) fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let square: f32 = vector.iter().map(|x| x * x).sum();
    if square >= f32::EPSILON && (square - 1.0).abs() > 1e-6 {
        let length = square.sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// The vectors as a request wants them shown.
pub(super) fn show(
    collection: &Collection,
    vectors: &BTreeMap<String, Vector>,
    selector: Option<&WithVectorsSelector>,
) -> Result<Option<VectorsOutput>, Status> {
    let shown: Vec<&String> = match selector.and_then(|selector| selector.selector_options.as_ref()) {
        None | Some(SelectorOptions::Enable(false)) => return Ok(None),
        Some(SelectorOptions::Enable(true)) => vectors.keys().collect(),
        Some(SelectorOptions::Include(include)) => {
            include.names.iter().try_for_each(|name| collection.has_vector(name))?;
            include.names.iter().filter(|name| vectors.contains_key(*name)).collect()
        }
    };
    let vectors = shown.into_iter().map(|name| (name.clone(), write_vector(&vectors[name]))).collect();
    Ok(Some(VectorsOutput {
        vectors_options: Some(vectors_output::VectorsOptions::Vectors(NamedVectorsOutput { vectors })),
    }))
}

fn write_vector(vector: &Vector) -> VectorOutput {
    let vector = match vector {
        Vector::Dense(data) => vector_output::Vector::Dense(DenseVector { data: data.clone() }),
        Vector::Sparse(pairs) => {
            let (indices, values) = pairs.iter().copied().unzip();
            vector_output::Vector::Sparse(SparseVector { values, indices })
        }
    };
    VectorOutput { vector: Some(vector), ..VectorOutput::default() }
}
