//! Which references of a list to follow, as a client asks for them: `author,author.team`.

use std::sync::Arc;

use crate::Core;
use crate::access::Actor;
use crate::collection::is_visible;
use crate::field::Field;
use crate::record::RecordError;
use crate::relations::USERS;
use crate::shelf::Shelved;

/// How many references one after the other.
const DEPTH_MAX: usize = 3;
/// The most references to follow.
const BRANCHES_MAX: usize = 10;

/// References to follow. Each stands after the one that it goes on from.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    pub(crate) branches: Vec<Branch>,
}

/// A reference to follow.
#[derive(Debug)]
pub(crate) struct Branch {
    /// The place of the reference that it goes on from; none for the records themselves.
    pub(crate) parent: Option<usize>,
    /// The field.
    pub(crate) field: String,
    /// What it points to.
    pub(crate) target: Target,
    depth: usize,
}

/// What a reference points to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    User,
    Record(Arc<Shelved>),
}

impl Core {
    /// Reads which references to follow from records of a collection.
    ///
    /// # Errors
    /// If there are too many, or one isn't there for whoever asks.
    pub(crate) async fn expansion(
        &self,
        actor: Actor<'_>,
        shelved: &Arc<Shelved>,
        expand: Option<&str>,
    ) -> Result<Expansion, RecordError> {
        let mut expansion = Expansion::default();
        for path in expand.into_iter().flat_map(|text| text.split(',')).map(str::trim) {
            let mut parent = None;
            for field in path.split('.') {
                let here = expansion.target(parent).unwrap_or(Target::Record(Arc::clone(shelved)));
                let place = if let Some(place) = expansion.find(parent, field) {
                    place
                } else {
                    let target = self.followed(actor, &here, field, path).await?;
                    expansion.add(parent, field, target)?
                };
                parent = Some(place);
            }
        }
        Ok(expansion)
    }

    /// What a field points to.
    async fn followed(
        &self,
        actor: Actor<'_>,
        here: &Target,
        name: &str,
        path: &str,
    ) -> Result<Target, RecordError> {
        // A collection that isn't there for whoever asks has no fields either.
        let shelved = match here {
            Target::Record(shelved) if is_visible(actor, shelved) => Some(shelved),
            Target::Record(_) | Target::User => None,
        };
        let unseen = shelved.map(|shelved| shelved.unseen(actor)).unwrap_or_default();
        let fields = shelved.into_iter().flat_map(|shelved| shelved.schema.fields());
        let is_known =
            |field: &&Field| field.reference().is_some() && !unseen.contains(&field.name.as_str());
        let known: Vec<&Field> = fields.filter(is_known).collect();
        let found = known.iter().find(|field| field.name == name).and_then(|f| f.reference());
        let Some(reference) = found else {
            let known: Vec<_> = known.iter().map(|field| field.name.as_str()).collect();
            let known = if known.is_empty() {
                "there are none here".to_owned()
            } else {
                format!("here are {}", known.join(", "))
            };
            let detail = format!("expand: {name:?} in {path:?} is no reference; {known}");
            return Err(RecordError::Query(detail));
        };
        if reference.collection == USERS {
            return Ok(Target::User);
        }
        self.find_collection(&reference.collection).await.map(Target::Record)
    }
}

impl Expansion {
    fn target(&self, place: Option<usize>) -> Option<Target> {
        self.branches.get(place?).map(|branch| branch.target.clone())
    }

    fn find(&self, parent: Option<usize>, field: &str) -> Option<usize> {
        self.branches.iter().position(|one| one.parent == parent && one.field == field)
    }

    fn add(
        &mut self,
        parent: Option<usize>,
        field: &str,
        target: Target,
    ) -> Result<usize, RecordError> {
        let depth = parent.and_then(|place| self.branches.get(place)).map_or(0, |b| b.depth) + 1;
        if depth > DEPTH_MAX {
            let detail = format!("expand: at most {DEPTH_MAX} references one after the other");
            return Err(RecordError::Query(detail));
        }
        if self.branches.len() >= BRANCHES_MAX {
            return Err(RecordError::Query(format!("expand: at most {BRANCHES_MAX} references")));
        }
        let field = field.to_owned();
        self.branches.push(Branch { parent, field, target, depth });
        Ok(self.branches.len() - 1)
    }

    /// The references to follow at once, level by level: none of a level goes on from another.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Vec<usize>> {
        (1..=DEPTH_MAX).map(|depth| {
            let places = self.branches.iter().enumerate();
            places.filter(|(_, branch)| branch.depth == depth).map(|(place, _)| place).collect()
        })
    }

    /// The references that go on from one, or from the records themselves.
    pub(crate) fn of(&self, parent: Option<usize>) -> impl Iterator<Item = (usize, &Branch)> {
        self.branches.iter().enumerate().filter(move |(_, branch)| branch.parent == parent)
    }
}
