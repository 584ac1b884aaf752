//! Brings an extension's files into a staging folder, from wherever they are.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::InstallError;
use crate::files::{self, Aside};
use crate::manifest::Manifest;
use crate::process::Tool;
use crate::source::Source;
use crate::work::Work;

const FETCH_LIMIT: Duration = Duration::from_mins(5);

/// Puts the files into `staging`, which is empty. Returns the commit, if there is one.
pub(crate) fn fetch(
    source: &Source,
    staging: &Path,
    work: &Work<'_>,
) -> Result<Option<String>, InstallError> {
    let commit = match source {
        Source::Folder(folder) => {
            let manifest = Manifest::read(folder, &folder.display().to_string())?;
            work.report(&format!("copying {}", folder.display()));
            // What is run as it stands may have been built in place; everything else is built anew.
            let as_it_stands = manifest.run.is_some() && manifest.build.is_none();
            let aside = if as_it_stands { Aside::Caches } else { Aside::CachesAndBuilds };
            files::copy(folder, staging, aside)?;
            None
        }
        Source::Archive(archive) => {
            work.report(&format!("unpacking {}", archive.display()));
            unpack(archive, staging, work)?;
            None
        }
        Source::Git { url, reference } => {
            work.report(&format!("fetching {source}"));
            Some(clone(url, reference.as_deref(), staging, work)?)
        }
    };
    files::check(staging)?;
    Ok(commit)
}

fn unpack(archive: &Path, staging: &Path, work: &Work<'_>) -> Result<(), InstallError> {
    let archive = std::path::absolute(archive).map_err(InstallError::io("reading", archive))?;
    Tool::new("tar")
        .args(["--extract", "--gzip", "--no-same-owner", "--file"])
        .arg(&archive)
        .folder(staging)
        .limit(FETCH_LIMIT)
        .run(work)
        .map_err(InstallError::step(format!("unpacking {}", archive.display())))?;
    // Archives usually hold one folder; what is in it belongs at the top.
    let reading = || InstallError::io("reading", staging);
    let mut entries = fs::read_dir(staging).map_err(reading())?;
    let only = match (entries.next().transpose().map_err(reading())?, entries.next()) {
        (Some(only), None) if only.file_type().is_ok_and(|kind| kind.is_dir()) => only.path(),
        _ => return Ok(()),
    };
    let aside = staging.with_extension("inner");
    fs::rename(&only, &aside).map_err(InstallError::io("moving", &only))?;
    fs::remove_dir(staging).map_err(InstallError::io("removing", staging))?;
    fs::rename(&aside, staging).map_err(InstallError::io("moving", &aside))
}

/// A hardened git: it asks nothing, runs no hook, and uses no transport that runs programs.
fn git(folder: &Path) -> Tool {
    let mut git = Tool::new("git").args([
        "-c",
        "protocol.ext.allow=never",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "submodule.recurse=false",
        "-c",
        "advice.detachedHead=false",
    ]);
    for variable in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"]
    {
        git = git.env_remove(variable);
    }
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:file")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .folder(folder)
        .limit(FETCH_LIMIT)
}

fn clone(
    url: &str,
    reference: Option<&str>,
    staging: &Path,
    work: &Work<'_>,
) -> Result<String, InstallError> {
    let step = || InstallError::step("fetching with git");
    git(staging).args(["init", "--quiet"]).run(work).map_err(step())?;
    let wanted = reference.unwrap_or("HEAD");
    let shallow = git(staging)
        .args(["fetch", "--quiet", "--depth=1", "--no-tags", "--", url, wanted])
        .run(work)
        .map_err(step());
    let found = match shallow {
        Ok(_) => "FETCH_HEAD",
        // Not every server hands out a commit by its name alone; then all of it is fetched.
        Err(InstallError::Step { .. }) if is_commit(wanted) => {
            let all = ["+refs/heads/*:refs/remotes/all/*", "+refs/tags/*:refs/tags/*"];
            git(staging)
                .args(["fetch", "--quiet", "--", url])
                .args(all)
                .run(work)
                .map_err(step())?;
            wanted
        }
        Err(error) => return Err(error),
    };
    git(staging).args(["checkout", "--quiet", "--detach", found]).run(work).map_err(step())?;
    let commit = git(staging).args(["rev-parse", "HEAD"]).run(work).map_err(step())?;
    let private = staging.join(".git");
    fs::remove_dir_all(&private).map_err(InstallError::io("removing", &private))?;
    Ok(commit.trim().to_owned())
}

fn is_commit(reference: &str) -> bool {
    (7..=64).contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}
