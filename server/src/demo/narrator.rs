//! The demo's voice: chapters, lines, and a sign of life while something takes long.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::terminal::{self, Progress};

/// How often a line is written during a long step.
const STILL_HERE: Duration = Duration::from_secs(20);

/// Tells the story on standard output.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    chapter: u32,
}

impl Narrator {
    /// Begins the next chapter.
    pub(super) fn chapter(&mut self, title: &str) -> io::Result<()> {
        self.chapter += 1;
        let number = self.chapter;
        terminal::say(&format!("\n{number}. {title}"))
    }

    /// Writes a line below the chapter.
    #[expect(clippy::unused_self, reason = "all words of the demo go through its narrator")]
    pub(super) fn tell(&self, line: &str) -> io::Result<()> {
        terminal::say(&format!("   {line}"))
    }

    /// Awaits a long step, shows that it goes on, and tells how long it took.
    pub(super) async fn wait<T>(
        &self,
        what: &str,
        step: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        let progress = Progress::begin(&format!("   {what} …"));
        let mut still_here = tokio::time::interval_at(begun + STILL_HERE, STILL_HERE);
        still_here.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut step = std::pin::pin!(step);
        let result = loop {
            tokio::select! {
                result = &mut step => break result,
                _ = still_here.tick() => {
                    let seconds = begun.elapsed().as_secs();
                    self.tell(&format!("{what}: still at it after {seconds} s"))?;
                }
            }
        };
        drop(progress);
        if result.is_ok() {
            self.tell(&format!("{what}: done in {:.1} s", begun.elapsed().as_secs_f64()))?;
        }
        result
    }
}
