//! An extension's files: copied within bounds, and pinned by what is in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The most files and folders of an extension.
const ENTRIES_MAX: usize = 50_000;
/// The most bytes of an extension.
const BYTES_MAX: u64 = 1 << 30;
/// The deepest folder of an extension.
const DEPTH_MAX: usize = 32;
/// Endings of files that a language runs; a new one is a change of the extension, whereas other
/// new files are taken for data that it keeps beside its code.
const CODE_ENDINGS: [&str; 15] = [
    "py", "pyi", "so", "pth", "js", "mjs", "cjs", "ts", "mts", "jar", "class", "sh", "rb", "lua",
    "toml",
];

/// Files that can't be an extension's.
#[derive(Debug, Error)]
pub enum FilesError {
    /// They can't be read or written.
    #[error("{action} {path:?} failed")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A link that leads out.
    #[error("{path:?} is a symbolic link to {target:?}, outside the extension's folder")]
    LinkOut {
        /// The link, relative to the folder.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A socket, a pipe or a device.
    #[error("{0:?} is neither a file nor a folder")]
    Special(PathBuf),
    /// A name that isn't text.
    #[error("{0:?} has a name that isn't UTF-8, or has a line break in it")]
    Name(PathBuf),
    /// More than we take.
    #[error(
        "the extension is too large: at most {ENTRIES_MAX} files, 1 GiB, {DEPTH_MAX} folders deep"
    )]
    TooLarge,
}

fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> FilesError + 'p {
    move |source| FilesError::Io { action, path: path.to_owned(), source }
}

/// Which folders stand aside of the extension itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// What git and Python keep for themselves.
    Caches,
    /// Those, and what build tools make: it is made anew, and it isn't pinned.
    CachesAndBuilds,
}

impl Aside {
    fn skips(self, folder: &Path, name: &str, is_folder: bool) -> bool {
        let cache = name == "core.sock"
            || Path::new(name).extension().is_some_and(|ending| ending == "pyc")
            || (is_folder
                && matches!(
                    name,
                    "__pycache__" | ".git" | ".mypy_cache" | ".ruff_cache" | ".pytest_cache"
                ));
        let build = || {
            let marked = |mark: &str| folder.join(name).join(mark).exists();
            match name {
                "node_modules" => true,
                "target" => marked("CACHEDIR.TAG"),
                ".venv" | "venv" => marked("pyvenv.cfg"),
                _ => false,
            }
        };
        cache || (self == Self::CachesAndBuilds && is_folder && build())
    }
}

/// What is at a path of an extension.
enum Entry {
    Folder,
    File { bytes: u64, executable: bool },
    Link(PathBuf),
}

/// Calls `visit` for everything in a folder, in a stable order, within bounds.
fn walk(
    root: &Path,
    aside: Aside,
    visit: &mut dyn FnMut(&Path, &Entry) -> Result<(), FilesError>,
) -> Result<(), FilesError> {
    let mut open = vec![PathBuf::new()];
    let (mut entries, mut bytes) = (0, 0);
    while let Some(relative) = open.pop() {
        let folder = root.join(&relative);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed("reading", &folder))? {
            let entry = entry.map_err(failed("reading", &folder))?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|name| FilesError::Name(relative.join(name)))?;
            let kind = entry.file_type().map_err(failed("reading", &entry.path()))?;
            if !aside.skips(&folder, &name, kind.is_dir()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        for name in names {
            let path = relative.join(&name);
            if name.contains(['\n', '\r']) {
                return Err(FilesError::Name(path));
            }
            let entry = look(root, &path)?;
            entries += 1;
            if let Entry::File { bytes: more, .. } = entry {
                bytes += more;
            }
            if entries > ENTRIES_MAX || bytes > BYTES_MAX || path.components().count() > DEPTH_MAX {
                return Err(FilesError::TooLarge);
            }
            visit(&path, &entry)?;
            if matches!(entry, Entry::Folder) {
                open.push(path);
            }
        }
    }
    Ok(())
}

fn look(root: &Path, path: &Path) -> Result<Entry, FilesError> {
    let full = root.join(path);
    let meta = fs::symlink_metadata(&full).map_err(failed("reading", &full))?;
    if meta.is_dir() {
        return Ok(Entry::Folder);
    }
    if meta.is_file() {
        let executable = meta.permissions().mode() & 0o111 != 0;
        return Ok(Entry::File { bytes: meta.len(), executable });
    }
    if !meta.is_symlink() {
        return Err(FilesError::Special(path.to_owned()));
    }
    let target = fs::read_link(&full).map_err(failed("reading", &full))?;
    let parent = path.parent().unwrap_or(Path::new(""));
    if stays_inside(&parent.join(&target)) && target.is_relative() {
        return Ok(Entry::Link(target));
    }
    Err(FilesError::LinkOut { path: path.to_owned(), target })
}

/// Whether a relative path never climbs above where it starts.
pub(crate) fn stays_inside(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().all(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => return false,
        };
        depth >= 0
    })
}

/// Copies an extension's files into a folder that exists and is empty.
pub(crate) fn copy(from: &Path, to: &Path, aside: Aside) -> Result<(), FilesError> {
    walk(from, aside, &mut |path, entry| {
        let target = to.join(path);
        match entry {
            Entry::Folder => fs::create_dir(&target).map_err(failed("creating", &target)),
            Entry::Link(link) => {
                std::os::unix::fs::symlink(link, &target).map_err(failed("linking", &target))
            }
            Entry::File { .. } => {
                fs::copy(from.join(path), &target).map(drop).map_err(failed("copying", &target))
            }
        }
    })
}

/// Checks an extension's files without touching them.
pub(crate) fn check(root: &Path) -> Result<(), FilesError> {
    walk(root, Aside::Caches, &mut |_, _| Ok(()))
}

/// Calls `visit` with the text of every Python file.
pub(crate) fn python_sources(root: &Path, visit: &mut dyn FnMut(&str)) -> Result<(), FilesError> {
    walk(root, Aside::CachesAndBuilds, &mut |path, entry| {
        if matches!(entry, Entry::File { .. }) && path.extension().is_some_and(|end| end == "py") {
            let full = root.join(path);
            let bytes = fs::read(&full).map_err(failed("reading", &full))?;
            visit(&String::from_utf8_lossy(&bytes));
        }
        Ok(())
    })
}

/// What is in each of an extension's files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listing(BTreeMap<String, String>);

/// How an extension's files differ from what was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Missing(String),
    Changed(String),
    New(String),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path} is missing"),
            Self::Changed(path) => write!(f, "{path} was changed"),
            Self::New(path) => write!(f, "{path} is new"),
        }
    }
}

impl Listing {
    /// Reads and digests all files.
    pub(crate) fn of(root: &Path) -> Result<Self, FilesError> {
        let mut listing = BTreeMap::new();
        walk(root, Aside::CachesAndBuilds, &mut |path, entry| {
            let mark = match entry {
                Entry::Folder => return Ok(()),
                Entry::Link(target) => format!("-> {}", target.display()),
                Entry::File { executable, .. } => {
                    let full = root.join(path);
                    let digest = digest(&full).map_err(failed("reading", &full))?;
                    format!("{digest} {}", if *executable { "x" } else { "-" })
                }
            };
            listing.insert(path.to_string_lossy().into_owned(), mark);
            Ok(())
        })?;
        Ok(Self(listing))
    }

    /// The listing as it is kept beside the files: a line for each.
    pub(crate) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (path, mark)| {
            text.extend([mark, "\t", path, "\n"]);
            text
        })
    }

    /// Reads what [`Listing::text`] wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        Self(pairs.map(|(mark, path)| (path.to_owned(), mark.to_owned())).collect())
    }

    /// One digest of all of it.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(self.text().as_bytes()))
    }

    /// The first difference that matters.
    pub(crate) fn change(&self, now: &Self) -> Option<Change> {
        for (path, mark) in &self.0 {
            match now.0.get(path) {
                None => return Some(Change::Missing(path.clone())),
                Some(other) if other != mark => return Some(Change::Changed(path.clone())),
                Some(_) => {}
            }
        }
        now.0.iter().find_map(|(path, mark)| {
            let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
            let runs = mark.ends_with(" x")
                || mark.starts_with("->")
                || ending.is_some_and(|ending| CODE_ENDINGS.contains(&ending));
            (runs && !self.0.contains_key(path)).then(|| Change::New(path.clone()))
        })
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("extension.toml"), "x").expect("a file");
        fs::create_dir(folder.path().join("sub")).expect("a folder");
        fs::write(folder.path().join("sub/a.py"), "a = 1").expect("a file");
        folder
    }

    fn change(before: &Listing, root: &Path) -> Option<String> {
        before.change(&Listing::of(root).expect("readable")).map(|change| change.to_string())
    }

    #[test]
    fn a_change_names_its_file() {
        let folder = tree();
        let before = Listing::of(folder.path()).expect("readable");
        assert_eq!(Listing::parse(&before.text()), before);
        assert_eq!(change(&before, folder.path()), None);
        fs::write(folder.path().join("sub/a.py"), "a = 2").expect("a file");
        assert_eq!(change(&before, folder.path()).as_deref(), Some("sub/a.py was changed"));
        fs::remove_file(folder.path().join("sub/a.py")).expect("removed");
        assert_eq!(change(&before, folder.path()).as_deref(), Some("sub/a.py is missing"));
    }

    #[test]
    fn new_code_is_a_change_and_what_running_leaves_behind_is_not() {
        let folder = tree();
        let root = folder.path();
        let before = Listing::of(root).expect("readable");
        fs::create_dir_all(root.join("sub/__pycache__")).expect("a folder");
        fs::write(root.join("sub/__pycache__/a.cpython-311.pyc"), "x").expect("a file");
        fs::create_dir_all(root.join("node_modules/x")).expect("a folder");
        fs::write(root.join("node_modules/x/index.js"), "x").expect("a file");
        fs::write(root.join("cache.json"), "{}").expect("a file");
        std::os::unix::fs::symlink("/run/core.sock", root.join("core.sock")).expect("a link");
        assert_eq!(change(&before, root), None);
        fs::write(root.join("json.py"), "").expect("a file");
        assert_eq!(change(&before, root).as_deref(), Some("json.py is new"));
    }

    #[test]
    fn a_link_that_leads_out_is_refused_and_one_inside_is_kept() {
        let (folder, copied) = (tree(), tempfile::tempdir().expect("a folder"));
        std::os::unix::fs::symlink("../extension.toml", folder.path().join("sub/in")).expect("ok");
        copy(folder.path(), copied.path(), Aside::Caches).expect("inside");
        assert_eq!(fs::read_to_string(copied.path().join("sub/in")).expect("a link"), "x");
        for target in ["../../etc", "/etc/passwd"] {
            let link = folder.path().join("sub/out");
            std::os::unix::fs::symlink(target, &link).expect("a link");
            let error = check(folder.path()).expect_err("leads out");
            assert!(matches!(error, FilesError::LinkOut { .. }), "{error}");
            fs::remove_file(link).expect("removed");
        }
    }

    #[test]
    fn a_pipe_is_refused() {
        let folder = tree();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("a pipe");
        let error = check(folder.path()).expect_err("a pipe");
        assert_eq!(error.to_string(), r#""pipe" is neither a file nor a folder"#);
    }
}
