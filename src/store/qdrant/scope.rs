//! Which points a request is about. A request for points takes a [`Scoped`], which is made
//! here alone and always confines it: to one life of one collection, or to one head, or to
//! the heads of one database. No request is about the points of more than one collection.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::{Condition, Filter, PointId, Range};

use super::head::Head;

/// Names of payload fields.
pub(super) mod field {
    /// What a point is: one of [`super::role`].
    pub(in super::super) const ROLE: &str = "role";
    /// The tenant keyword.
    pub(in super::super) const TENANT: &str = "collection";
    /// Keyword of a database's heads.
    pub(in super::super) const HEADS: &str = "heads";
    /// Logical id.
    pub(in super::super) const ID: &str = "id";
    /// First generation in which a point is there.
    pub(in super::super) const FROM: &str = "from";
    /// First generation in which it is there no more.
    pub(in super::super) const UNTIL: &str = "until";
    /// Path.
    pub(in super::super) const PATH: &str = "path";
    /// Path and all directories above.
    pub(in super::super) const PLACE: &str = "place";
    /// Language.
    pub(in super::super) const LANGUAGE: &str = "language";
    /// Kind.
    pub(in super::super) const KIND: &str = "kind";
    /// Name of the symbol in lower case.
    pub(in super::super) const SYMBOL_KEY: &str = "symbol_key";
    /// Vector keys by leg.
    pub(in super::super) const KEYS: [&str; 2] = ["key_text", "key_code"];
    /// Attributes, each as one keyword.
    pub(in super::super) const ATTRIBUTE: &str = "attribute";
    /// Seconds since the epoch.
    pub(in super::super) const TIME: &str = "time";
}

/// What a point is.
pub(super) mod role {
    /// A chunk.
    pub(in super::super) const CHUNK: &str = "chunk";
    /// A manifest record.
    pub(in super::super) const FILE: &str = "file";
    /// The head of a collection.
    pub(in super::super) const HEAD: &str = "head";
}

/// A filter that confines.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scoped(Filter);

impl Scoped {
    /// All points of one life of a collection, but its head.
    pub(super) fn life(tenant: &str) -> Scoped {
        Scoped(Filter {
            must: vec![Condition::matches(field::TENANT, tenant.to_owned())],
            must_not: vec![Condition::matches(field::ROLE, role::HEAD.to_owned())],
            ..Filter::default()
        })
    }

    /// What the state that `head` names says is there, of one role.
    pub(super) fn visible(tenant: &str, head: &Head, role: &str) -> Scoped {
        let mut scope = Scoped::life(tenant);
        scope.0.must.push(Condition::matches(field::ROLE, role.to_owned()));
        scope.0.must_not.remove(0);
        scope.visible_in(head)
    }

    /// Confines further: to what is there in the state that `head` names.
    pub(super) fn visible_in(mut self, head: &Head) -> Scoped {
        self.0.must.push(at_most(field::FROM, head.generation));
        let mut ended = vec![at_most(field::UNTIL, head.generation)];
        if !head.aborted.is_empty() {
            self.0.must_not.push(aborted(field::FROM, head));
            let by_aborted = Filter { must_not: vec![aborted(field::UNTIL, head)], ..Filter::default() };
            ended.push(nested(by_aborted));
        }
        self.0.must_not.push(nested(Filter { must: ended, ..Filter::default() }));
        self
    }

    /// What the writer whose head this is may mark as ended: what is there and was marked by
    /// nobody, or by an attempt that came to nothing. So a request that is executed late takes
    /// no other writer's mark away.
    pub(super) fn endable(tenant: &str, head: &Head) -> Scoped {
        let mut unmarked = vec![Condition::is_empty(field::UNTIL)];
        if !head.aborted.is_empty() {
            unmarked.push(aborted(field::UNTIL, head));
        }
        Scoped::life(tenant).visible_in(head).and_any(unmarked)
    }

    /// The head of this id.
    pub(super) fn head(id: PointId) -> Scoped {
        Scoped(Filter {
            must: vec![Condition::has_id([id]), Condition::matches(field::ROLE, role::HEAD.to_owned())],
            ..Filter::default()
        })
    }

    /// All heads of a database, of which [`super::names::Names::heads`] gives the keyword.
    pub(super) fn heads(keyword: &str) -> Scoped {
        Scoped(Filter {
            must: vec![
                Condition::matches(field::HEADS, keyword.to_owned()),
                Condition::matches(field::ROLE, role::HEAD.to_owned()),
            ],
            ..Filter::default()
        })
    }

    /// Every head in a physical collection: only to know what in it is used by any.
    pub(super) fn any_head() -> Scoped {
        Scoped(Filter {
            must: vec![Condition::matches(field::ROLE, role::HEAD.to_owned())],
            ..Filter::default()
        })
    }

    /// The points of the list of databases.
    pub(super) fn databases() -> Scoped {
        Scoped(Filter {
            must: vec![Condition::matches(field::ROLE, "database".to_owned())],
            ..Filter::default()
        })
    }

    /// The point of one database.
    pub(super) fn database(id: PointId) -> Scoped {
        Scoped::databases().and(Condition::has_id([id]))
    }

    /// Confines further.
    pub(super) fn and(mut self, condition: Condition) -> Scoped {
        self.0.must.push(condition);
        self
    }

    /// Confines further, to what a condition is not true of.
    pub(super) fn and_not(mut self, condition: Condition) -> Scoped {
        self.0.must_not.push(condition);
        self
    }

    /// Confines further, to what any of the conditions is true of.
    pub(super) fn and_any(self, conditions: Vec<Condition>) -> Scoped {
        self.and(nested(Filter { should: conditions, ..Filter::default() }))
    }

    /// What the request carries.
    pub(super) fn filter(&self) -> Filter {
        self.0.clone()
    }
}

/// Points that no state names any more: those that ended with the last batch but one, and
/// those of attempts that came to nothing.
pub(super) fn garbage(tenant: &str, head: &Head) -> Scoped {
    let mut ended = vec![at_most(field::UNTIL, head.previous)];
    let mut any = Vec::new();
    if !head.aborted.is_empty() {
        ended.push(nested(Filter { must_not: vec![aborted(field::UNTIL, head)], ..Filter::default() }));
        any.push(aborted(field::FROM, head));
    }
    any.push(nested(Filter { must: ended, ..Filter::default() }));
    Scoped::life(tenant).and_any(any)
}

/// Points that an attempt which came to nothing had marked as ended.
pub(super) fn spared(tenant: &str, head: &Head) -> Scoped {
    Scoped::life(tenant).and(aborted(field::UNTIL, head))
}

fn aborted(field: &str, head: &Head) -> Condition {
    let numbers: Vec<i64> = head.aborted.iter().map(|n| *n as i64).collect();
    Condition::matches(field, numbers)
}

/// Numbers are exact in the server's ranges up to 2^53; generations stay below.
pub(super) fn at_most(field: &str, value: u64) -> Condition {
    Condition::range(field, Range { lte: Some(value as f64), ..Range::default() })
}

fn nested(filter: Filter) -> Condition {
    Condition { condition_one_of: Some(ConditionOneOf::Filter(filter)) }
}
