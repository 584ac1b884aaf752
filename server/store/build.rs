//! Has the crate built anew when only a migration was added.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(b"cargo:rerun-if-changed=migrations\n")
}
