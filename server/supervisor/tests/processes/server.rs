//! A server with one extension, to be killed by a test.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::stage;

/// Plays the server: `__server <folder> <command…>`.
pub(crate) const ARGUMENT: &str = "__server";

/// Runs the extension until standard input ends, and then shuts nothing down.
pub(crate) fn play() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [folder, command @ ..] = arguments.as_slice() else { return ExitCode::FAILURE };
    let folder = PathBuf::from(folder);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (supervisor, stop, wire) = runtime.block_on(async {
        let opened = stage::open_in(&folder);
        opened.0.start(stage::spec_in(&folder, &command)).await;
        opened
    });
    let mut ignored = Vec::new();
    // The test holds the other end for as long as it wants this server.
    let _ = io::stdin().read_to_end(&mut ignored);
    drop((supervisor, stop, wire));
    ExitCode::SUCCESS
}
