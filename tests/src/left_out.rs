//! Saying that something isn't shown here.

/// Says what a test leaves out, and why.
#[expect(clippy::print_stderr, reason = "a test's output is where to say it")]
pub fn leave_out(what: &str, why: &str) {
    eprintln!("left out: {what}, because {why}");
}
