//! The contract against a real server, the one at `QDRANT_URL` (its gRPC port). Where that is
//! not set, every test says that it checked nothing.

use std::io::Write;

use super::*;

/// A place on the real server; `None` where there is none.
fn real(layout: Layout) -> Option<Fresh> {
    match std::env::var("QDRANT_URL") {
        Ok(url) => Some(Fresh::new(QdrantOptions::new(url), layout)),
        Err(_) => {
            // Not by a macro, whose output a passing test swallows.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: QDRANT_URL is not set, a real Qdrant was not tested");
            None
        }
    }
}

macro_rules! fresh {
    ($layout:expr) => {
        match real($layout) {
            Some(fresh) => fresh,
            None => return,
        }
    };
}

mod collection_layout {
    use super::*;
    crate::store::contract::contract_suite!(fresh!(Layout::Collection));
}

mod shared_layout {
    use super::*;
    crate::store::contract::contract_suite!(fresh!(Layout::Shared));
}

#[test]
fn a_hybrid_query_is_the_fusion_of_its_probes() {
    super::tenancy::hybrid(&fresh!(Layout::Collection));
}
