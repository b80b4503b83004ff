//! What belongs to a place of the code: what says something alike, who uses its symbol, what
//! tests it, and what it calls.
//!
//! Embeds nothing: what is alike is found by the vector that the chunk has in the store. Names
//! are compared as words ([`naming`]), so that namesakes are found too, and counted. Like every
//! answer it is compared with the disk before it is shown. Must not print.

use std::collections::BTreeSet;

use crate::embed::Leg;
use crate::git::{self, ReadError};
use crate::language::Language;
use crate::lexical;
use crate::redact;
use crate::search::Place;
use crate::search::copies;
use crate::search::naming::{self, User};
use crate::search::outline::{Outline, Outlined, enclosing};
use crate::search::relation::{
    Candidate, Found, Group, Position, Related, RelatedError, Relation, Subject, Why, one_a_symbol,
};
use crate::search::usage;
use crate::search::verification::{Check, Files};
use crate::store::{Filter, Point, Probe, Scored, StoreError};

/// Files over this many bytes are not read.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Lines around the one that is asked about by whose words its chunk is found.
const NEAR: usize = 15;
/// Chunks of one file that are looked at.
const CHUNKS_OF_A_FILE: usize = 512;
/// Neighbours asked for: enough for an answer after copies and its own parts are gone.
const NEIGHBOURS: usize = 100;
/// Neighbours that are less alike have little in common: nine in ten pairs of chunks that are
/// drawn from one repository at random are below (the default model).
const LEAST_COSINE: f32 = 0.42;
/// Chunks with the name that are looked at.
const WITH_THE_NAME: usize = 300;
/// Names that the chunk calls.
const CALLED: usize = 24;
/// Chunks looked at for the definition of each.
const WITH_A_DEFINITION: usize = 12;

/// What belongs to the code at a position of `place`.
pub fn related(place: &Place<'_>, position: &Position) -> Result<Related, RelatedError> {
    let mut work = Work { place, files: Files::new(place.root), limit: position.limit, dropped: 0 };
    let here = work.locate(position)?;
    let similar = work.similar(&here)?;
    let (callers, tests, definitions) = match &here.name {
        Some(name) => work.users(&here, name)?,
        None => {
            let how = "no definition is at this line: name a line of one";
            (Group::none(Relation::Callers, how), Group::none(Relation::Tests, how), None)
        }
    };
    let callees = work.callees(&here)?;
    let Here { point, lines, symbol, .. } = here;
    let subject = match symbol {
        Some(symbol) => Subject {
            path: point.path,
            lines: symbol.lines,
            kind: symbol.kind.to_owned(),
            symbol: Some(symbol.full_name),
            signature: Some(symbol.signature).filter(|signature| !signature.is_empty()),
            definitions,
        },
        None => Subject {
            path: point.path,
            lines,
            kind: point.kind,
            symbol: point.symbol,
            signature: point.signature,
            definitions,
        },
    };
    Ok(Related { subject, groups: vec![similar, callers, tests, callees], dropped: work.dropped })
}

/// What is at the position.
struct Here {
    point: Point,
    /// Of the chunk, now.
    lines: (u32, u32),
    /// The innermost definition around the line.
    symbol: Option<Outlined>,
    /// Its name, where code can use it.
    name: Option<String>,
    /// Its text, or the chunk's where there is none.
    text: String,
}

impl Here {
    /// Lines of the symbol, or else of the chunk.
    fn extent(&self) -> (u32, u32) {
        self.symbol.as_ref().map_or(self.lines, |symbol| symbol.lines)
    }

    /// Whether a line of the file is one of its own.
    fn has_line(&self, line: u32) -> bool {
        let (first, last) = self.extent();
        (first..=last).contains(&line)
    }
}

struct Work<'a> {
    place: &'a Place<'a>,
    files: Files<'a>,
    limit: usize,
    dropped: u32,
}

impl Work<'_> {
    fn search(
        &self,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        self.place.database.search(self.place.collection, probes, filter, limit)
    }

    /// Where the point is now; `None` where it is not.
    fn lines_now(&mut self, point: &Point) -> Option<(u32, u32)> {
        match self.files.check(point) {
            Check::Unchanged => Some(point.lines),
            Check::Moved { lines, .. } => Some(lines),
            Check::Gone => None,
        }
    }

    /// Whether a chunk is the subject, or a part of the same symbol.
    fn is_of(&mut self, here: &Here, point: &Point) -> bool {
        let (first, last) = here.extent();
        let overlaps = |lines: (u32, u32)| lines.0 <= last && first <= lines.1;
        point.path == here.point.path && self.lines_now(point).is_some_and(overlaps)
    }

    /// What is left of a chunk's uses without those in the subject's own lines.
    fn leave_out_own(&mut self, here: &Here, user: &mut User) {
        if user.point.path == here.point.path
            && let Some((first, _)) = self.lines_now(&user.point)
        {
            user.uses.leave_out(|line| here.has_line(first + line));
        }
    }

    /// Those that the disk confirms, up to the limit.
    fn group(&mut self, relation: Relation, how: String, candidates: Vec<Candidate>) -> Group {
        let mut results = Vec::new();
        let mut candidates = candidates.into_iter();
        while results.len() < self.limit {
            let Some((point, copies, why)) = candidates.next() else { break };
            let Some(lines) = self.lines_now(&point) else {
                self.dropped += 1;
                continue;
            };
            let now = |line: u32| (line + lines.0).saturating_sub(point.lines.0);
            let why = match why {
                Why::Calls(line) => Why::Calls(now(line)),
                Why::Mentions(line) => Why::Mentions(now(line)),
                other => other,
            };
            results.push(Found {
                lines,
                why,
                copies,
                repaired: lines != point.lines,
                path: point.path,
                kind: point.kind,
                symbol: point.symbol,
                container: point.container,
                signature: point.signature,
            });
        }
        Group { relation, how, results, more: candidates.len() }
    }

    /// Finds the chunk at the position by the words around it, and the disk's word on it.
    fn locate(&mut self, position: &Position) -> Result<Here, RelatedError> {
        let Position { path, line, .. } = position;
        let read = git::read_file(self.place.root, path, MAX_FILE_BYTES);
        let bytes = match read {
            Ok(file) => file.bytes,
            Err(ReadError::Vanished(_)) => return Err(RelatedError::NoFile(path.clone())),
            Err(error) => return Err(RelatedError::Read(error)),
        };
        let (text, _) = redact::redact(path, &String::from_utf8_lossy(&bytes));
        let all: Vec<&str> = text.lines().collect();
        let at = (*line as usize).saturating_sub(1).min(all.len());
        let near = &all[at.saturating_sub(NEAR)..(at + NEAR + 1).min(all.len())];
        let mut terms = Vec::new();
        lexical::tokenize(&String::from_utf8_lossy(path.stem()), &mut terms);
        near.iter().for_each(|line| lexical::tokenize(line, &mut terms));
        let terms: BTreeSet<String> = terms.into_iter().collect();
        let probe = Probe::Terms(terms.into_iter().map(|term| (term, 1.0)).collect());
        let filter =
            Filter { paths: path.to_str().map(globset::escape).into_iter().collect(), ..Filter::default() };
        let mut found = self.search(&[probe], &filter, CHUNKS_OF_A_FILE)?.concat();
        found.retain(|hit| hit.point.path == *path);
        if found.is_empty() {
            return Err(RelatedError::NotIndexed(path.clone()));
        }
        if *line == 0 || *line as usize > all.len() {
            return Err(RelatedError::OutsideFile { path: path.clone(), line: *line, last: all.len() });
        }
        let outline = Outline::of(path, &text);
        let symbol = enclosing(&outline.symbols, *line).filter(|_| Language::of(path).has_grammar()).cloned();
        // A blank line is in no chunk, and yet in a symbol that has chunks.
        let (first, last) = symbol.as_ref().map_or((*line, *line), |symbol| symbol.lines);
        let (mut near, mut is_changed) = (Vec::new(), false);
        for Scored { point, .. } in found {
            match self.lines_now(&point) {
                Some(lines) if lines.0 <= last && first <= lines.1 => near.push((point, lines)),
                Some(_) => {}
                None => is_changed = true,
            }
        }
        let away = |lines: (u32, u32)| lines.0.saturating_sub(*line).max(line.saturating_sub(lines.1));
        let nearest = near.into_iter().min_by_key(|(_, lines)| (away(*lines), lines.1 - lines.0));
        let Some((point, lines)) = nearest else {
            let (path, line) = (path.clone(), *line);
            return Err(match is_changed {
                true => RelatedError::Changed { path, line },
                false => RelatedError::Nothing { path, line },
            });
        };
        let name = symbol.as_ref().and_then(|symbol| naming::usable_name(&symbol.name)).map(str::to_owned);
        let text = match &symbol {
            Some(symbol) => {
                all[symbol.lines.0 as usize - 1..(symbol.lines.1 as usize).min(all.len())].join("\n")
            }
            None => point.text.clone(),
        };
        Ok(Here { point, lines, symbol, name, text })
    }

    fn similar(&mut self, here: &Here) -> Result<Group, RelatedError> {
        let alike = || -> Result<_, StoreError> {
            let (probe, how) = self.likeness(here)?;
            let by_vector = matches!(probe, Probe::Vector(..));
            Ok((self.search(&[probe], &Filter::default(), NEIGHBOURS)?.concat(), by_vector, how))
        };
        let (mut found, by_vector, how) = match alike() {
            // The leg became another model's meanwhile.
            Err(StoreError::OtherModel { .. }) => alike()?,
            found => found?,
        };
        let best = found.first().map_or(1.0, |hit| hit.score).max(f32::MIN_POSITIVE);
        found.retain(|Scored { score, point }| {
            !self.is_of(here, point) && (!by_vector || *score >= LEAST_COSINE)
        });
        let why = |score: f32| if by_vector { Why::Vector(score) } else { Why::Words(score / best) };
        let distinct = copies::collapse(found, |hit: &Scored| &hit.point.text);
        let candidates = distinct.into_iter().map(|(hit, copies)| (hit.point, copies, why(hit.score)));
        let mut group = self.group(Relation::Similar, how, one_a_symbol(candidates.collect()));
        // Something is always near: how much more says nothing.
        group.more = 0;
        Ok(group)
    }

    /// What to ask for what is alike, and how that is.
    fn likeness(&self, here: &Here) -> Result<(Probe, String), StoreError> {
        // Before the vectors: should these be of another model by then, the search says so.
        let schema = self.place.database.schema(self.place.collection)?;
        for leg in Leg::ALL {
            let (Some(key), Some((model, _))) = (here.point.vectors[leg.index()], &schema.legs[leg.index()])
            else {
                continue;
            };
            let found = self.place.database.vectors(self.place.collection, leg, &[key])?;
            if let Some((_, vector)) = found.into_iter().next() {
                return Ok((
                    Probe::Vector(leg, model.clone(), vector),
                    format!("by its vector in the {leg} leg"),
                ));
            }
        }
        let terms = naming::telling_terms(&here.text, here.name.as_deref());
        Ok((Probe::Terms(terms), "by its words: it has no vector".to_owned()))
    }

    /// Who uses the name, what tests it, and how many definitions it has.
    fn users(&mut self, here: &Here, name: &str) -> Result<(Group, Group, Option<u32>), RelatedError> {
        let terms = naming::terms(name);
        let whole: Vec<_> = terms.first().cloned().into_iter().collect();
        let owner = here.symbol.as_ref().and_then(|symbol| naming::owner(&symbol.full_name, name));
        let of_owner = owner.and_then(|owner| naming::terms(owner).into_iter().next());
        let test = ("test".to_owned(), 1.0);
        let probes = [
            Probe::Terms(whole.clone()),
            // Of common names those that are likelier meant.
            Probe::Terms(whole.into_iter().chain(of_owner).collect()),
            // Of a test's name the subject's is a part.
            Probe::Terms(terms.into_iter().chain([test]).collect()),
            Probe::Symbols(vec![name.to_lowercase()]),
        ];
        let found = self.search(&probes, &Filter::default(), WITH_THE_NAME)?;
        let is_full = found.first().is_some_and(|found| found.len() == WITH_THE_NAME);
        let points = found.into_iter().flatten().map(|hit| hit.point);
        let mut users = naming::users(points, here.point.language, name, owner);
        let definitions = naming::count_definitions(&users, name);
        users.iter_mut().for_each(|user| self.leave_out_own(here, user));
        let (tests, others): (Vec<User>, Vec<User>) =
            users.into_iter().partition(|user| naming::is_test(&user.point));
        let mut how = format!("by the name `{name}` alone");
        if definitions > 1 {
            how.push_str(&format!(", which {definitions} definitions have: which is meant is not known"));
            if let Some(owner) = owner {
                how.push_str(&format!(", and those that name `{owner}` come first"));
            }
        }
        if is_full {
            how.push_str(&format!("; only the {WITH_THE_NAME} chunks with the most of it were looked at"));
        }
        let callers = self.group(Relation::Callers, how.clone(), one_a_symbol(naming::callers(others)));
        let tests = self.group(Relation::Tests, how, one_a_symbol(naming::tests(tests, name)));
        Ok((callers, tests, Some(definitions)))
    }

    /// Definitions of what the subject calls: one of each name, the surest first.
    fn callees(&mut self, here: &Here) -> Result<Group, RelatedError> {
        let language = here.point.language;
        let mut names = usage::called(language, &here.text, CALLED + 1);
        names.retain(|name| Some(name) != here.name.as_ref());
        names.truncate(CALLED);
        if names.is_empty() {
            return Ok(Group::none(Relation::Callees, "it calls nothing by name"));
        }
        let whole = |name: &String| naming::terms(name).into_iter().take(1).collect();
        let probes: Vec<Probe> = (names.iter())
            .flat_map(|name| [Probe::Symbols(vec![name.to_lowercase()]), Probe::Terms(whole(name))])
            .collect();
        let found = self.search(&probes, &Filter::default(), WITH_A_DEFINITION)?;
        let of_test = naming::is_test(&here.point);
        let mut candidates = Vec::new();
        for (name, found) in names.into_iter().zip(found.chunks(2)) {
            let points = found.iter().flatten().map(|hit| hit.point.clone());
            let mut defining = naming::users(points, language, &name, None);
            defining.iter_mut().for_each(|user| self.leave_out_own(here, user));
            // The product calls no test, and what is defined within the subject is no news.
            defining.retain(|user| {
                (of_test || !naming::is_test(&user.point))
                    && user.defines(&name)
                    && (!user.uses.definitions.is_empty() || !self.is_of(here, &user.point))
            });
            let definitions = naming::count_definitions(&defining, &name);
            let nearest = naming::nearest_definition(defining, &name, &here.point);
            candidates.extend(nearest.map(|point| (point, 0, Why::Defines(name, definitions))));
        }
        candidates.sort_by_key(|(_, _, why)| match why {
            Why::Defines(_, definitions) => *definitions,
            _ => 0,
        });
        let how = "by the names that it calls; of several definitions the nearest".to_owned();
        Ok(self.group(Relation::Callees, how, candidates))
    }
}
