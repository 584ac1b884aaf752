//! Commands that share a commit.

use crate::StoreError;
use crate::activity::Noting;
use crate::creation::{Creation, create_all, create_one};
use crate::error::Fault;
use crate::event::{NewEvent, append};
use crate::sql::{Connection, Dialect};
use crate::transaction::{BEGIN, COMMIT, IS_SOUND, RELEASE, ROLLBACK, SAVEPOINT, execute, undo};
use crate::write::Job;
use crate::writer::Command;

/// Commands that share a commit.
pub(crate) struct Group {
    creations: Vec<Creation>,
    jobs: Vec<Box<dyn Job>>,
}

/// Why a group wasn't committed, or may not have been.
pub(crate) struct Failure {
    error: StoreError,
    stage: Stage,
}

/// How far it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was certainly not committed.
    Before,
    /// It was appending its events, which all nodes do one after the other.
    Appending,
    /// The commit was on its way.
    Committing,
}

impl Failure {
    pub(crate) const fn before(error: StoreError) -> Self {
        Self { error, stage: Stage::Before }
    }

    pub(crate) const fn appending(error: StoreError) -> Self {
        Self { error, stage: Stage::Appending }
    }

    pub(crate) const fn committing(error: StoreError) -> Self {
        Self { error, stage: Stage::Committing }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.error.fault()
    }

    /// Whether another attempt can do no harm and may succeed.
    pub(crate) fn may_be_repeated(&self) -> bool {
        match self.error.fault() {
            // A commit that collided was undone, by the database's word.
            Fault::Collided => true,
            Fault::Lost => self.stage != Stage::Committing,
            Fault::Blocked => self.stage == Stage::Appending,
            Fault::Aborted | Fault::Value | Fault::Other => false,
        }
    }

    /// What whoever waits is told.
    pub(crate) fn into_error(self) -> StoreError {
        match (self.stage, self.error) {
            (Stage::Committing, StoreError::Unreachable { source }) => {
                StoreError::Unknown { source }
            }
            (_, error) => error,
        }
    }
}

impl Group {
    pub(crate) fn new(commands: Vec<Command>) -> Self {
        let mut group = Self { creations: Vec::new(), jobs: Vec::new() };
        for command in commands {
            match command {
                Command::Create(creation) => group.creations.push(*creation),
                Command::Job(job) => group.jobs.push(job),
            }
        }
        group
    }

    /// Forgets an attempt that was undone.
    pub(crate) fn forget(&mut self) {
        self.creations.iter_mut().for_each(Creation::forget);
        // A job's next attempt replaces its output.
    }

    /// Runs all commands and commits what they wrote.
    pub(crate) async fn run(
        &mut self,
        connection: &mut Connection,
        noting: Noting,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        execute(connection, BEGIN).await.map_err(Failure::before)?;
        if !self.apply(connection, &mut events).await.map_err(Failure::before)? {
            return execute(connection, ROLLBACK).await.map_err(Failure::before);
        }
        append(connection, &events, noting).await.map_err(Failure::appending)?;
        execute(connection, COMMIT).await.map_err(Failure::committing)
    }

    /// Runs all commands and tells whether there is something to commit.
    async fn apply(
        &mut self,
        connection: &mut Connection,
        events: &mut Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        // Alone, a command needs no savepoint: what it undoes is everything.
        match (self.creations.as_mut_slice(), self.jobs.as_mut_slice()) {
            ([creation], []) => create_one(connection, creation, events).await,
            ([], [job]) => apply_one(connection, job.as_mut(), events).await,
            (creations, jobs) => {
                create_all(connection, creations, events).await?;
                apply_all(connection, jobs, events).await?;
                Ok(true)
            }
        }
    }

    pub(crate) fn answer(self, committed: &Result<(), StoreError>) {
        for creation in self.creations {
            creation.answer(committed.clone());
        }
        for job in self.jobs {
            job.answer(committed.clone());
        }
    }
}

/// Tells whether a command's error ends the attempt of the whole group.
pub(crate) fn ends_attempt(error: &StoreError) -> bool {
    matches!(error.fault(), Fault::Lost | Fault::Collided)
}

/// Runs the only job and tells whether it worked.
async fn apply_one(
    connection: &mut Connection,
    job: &mut dyn Job,
    events: &mut Vec<NewEvent>,
) -> Result<bool, StoreError> {
    match job.apply(connection, events).await {
        Ok(()) if connection.dialect() == Dialect::Postgres => {
            match execute(connection, IS_SOUND).await {
                Ok(()) => Ok(true),
                Err(error) if error.fault() == Fault::Aborted => {
                    job.fail(error);
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        }
        Ok(()) => Ok(true),
        Err(error) if ends_attempt(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Runs each job so that its failure undoes nothing but itself.
async fn apply_all(
    connection: &mut Connection,
    jobs: &mut [Box<dyn Job>],
    events: &mut Vec<NewEvent>,
) -> Result<(), StoreError> {
    for job in jobs {
        let before = events.len();
        execute(connection, SAVEPOINT).await?;
        match job.apply(connection, events).await {
            Ok(()) => match execute(connection, RELEASE).await {
                Ok(()) => continue,
                // It went on after an error that it kept to itself.
                Err(error) if error.fault() == Fault::Aborted => job.fail(error),
                Err(error) => return Err(error),
            },
            Err(error) if ends_attempt(&error) => return Err(error),
            Err(_) => {}
        }
        events.truncate(before);
        undo(connection).await?;
    }
    Ok(())
}
