//! Installing from folders, archives and git, and what is left when it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tinybase_model::{ExtensionName, Permissions};
use tokio_util::sync::CancellationToken;

use super::{Catalog, CatalogOptions, Condition, Installed};
use crate::error::{CatalogError, InstallError};
use crate::work::Work;

/// A data folder with its catalog, and a folder with an extension's source.
struct World {
    data: TempDir,
    source: TempDir,
    catalog: Catalog,
}

const RUN: &str = "[extension]\nname = \"a\"\nversion = \"1.0.0\"\ndescription = \"An a.\"\n\
                   [extension.run]\ncommand = [\"./start\"]\n";

fn open(data: &Path) -> Catalog {
    let catalog = Catalog::open(CatalogOptions {
        data: data.to_owned(),
        executable: PathBuf::from("/nowhere/tinybase"),
        proto: "syntax = \"proto3\";",
    })
    .expect("a catalog");
    catalog.sweep().expect("swept");
    catalog
}

impl World {
    fn new(manifest: &str) -> Self {
        let (data, source) = (tempfile::tempdir().expect("ok"), tempfile::tempdir().expect("ok"));
        fs::write(source.path().join("extension.toml"), manifest).expect("written");
        let start = source.path().join("start");
        fs::write(&start, "#!/bin/sh\n").expect("written");
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755)).expect("changed");
        let catalog = open(data.path());
        Self { data, source, catalog }
    }

    fn install_from(&self, source: &str) -> Result<Installed, InstallError> {
        let work = Work::new(&|_| {}, CancellationToken::new());
        let staged = self.catalog.stage(&source.parse()?, &work)?;
        self.catalog.install(staged, &work)
    }

    fn install(&self) -> Result<Installed, InstallError> {
        self.install_from(&self.source.path().display().to_string())
    }

    fn only(&self) -> Installed {
        let mut all = self.catalog.load().expect("readable");
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    fn broken(&self) -> String {
        match self.only().condition {
            Condition::Broken(reason) => reason,
            Condition::Sound(spec) => panic!("{spec:?} is not broken"),
        }
    }

    /// Everything below `extensions/`.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data.path().join("extensions")).expect("readable");
        let names = entries.map(|entry| entry.expect("ok").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != ".guard").collect()
    }

    fn tree(&self) -> PathBuf {
        match self.only().condition {
            Condition::Sound(spec) => spec.folder,
            Condition::Broken(reason) => panic!("{reason}"),
        }
    }
}

fn name() -> ExtensionName {
    "a".parse().expect("a name")
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Commits the source twice, as 1.0.0 with a tag and as 1.1.0 on main; gives the bare repository.
fn repository(world: &World, into: &Path) -> (String, String) {
    let source = world.source.path();
    git(source, &["init", "--quiet", "--initial-branch=main"]);
    git(source, &["add", "."]);
    git(source, &["commit", "--quiet", "-m", "one"]);
    git(source, &["tag", "v1.0.0"]);
    let first = git(source, &["rev-parse", "HEAD"]);
    fs::write(source.join("extension.toml"), RUN.replace("1.0.0", "1.1.0")).expect("written");
    git(source, &["commit", "--quiet", "-am", "two"]);
    git(source, &["branch", "feature/x"]);
    let bare = into.join("repository.git");
    git(source, &["clone", "--quiet", "--bare", ".", &bare.display().to_string()]);
    (format!("file://{}", bare.display()), first)
}

#[test]
fn an_installed_extension_is_loaded_with_what_it_said_and_where_it_is() {
    let world = World::new(RUN);
    let installed = world.install().expect("installed");
    assert_eq!(installed, world.only());
    assert_eq!(
        installed.about.as_ref().and_then(|about| about.description.as_deref()),
        Some("An a.")
    );
    assert!(installed.enabled);
    let Condition::Sound(spec) = installed.condition else { panic!("broken") };
    assert_eq!(spec.command, ["./start"]);
    assert_eq!(spec.permissions, Permissions::Broad);
    assert!(spec.folder.join("start").is_file());
    let folder = spec.folder.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(folder.starts_with("1.0.0-") && folder.len() == "1.0.0-".len() + 12, "{folder}");
    assert_eq!(world.left(), ["a"]);
    assert_eq!(open(world.data.path()).load().expect("readable"), [world.only()], "kept by sweep");
}

#[test]
fn git_gives_the_default_branch_a_tag_a_branch_and_a_commit() {
    let world = World::new(RUN);
    let (url, first) = repository(&world, world.data.path());
    for (reference, version) in [
        ("", "1.1.0"),
        ("@v1.0.0", "1.0.0"),
        ("@feature/x", "1.1.0"),
        (&format!("@{first}"), "1.0.0"),
    ] {
        let installed = world.install_from(&format!("{url}{reference}")).expect("installed");
        assert_eq!(installed.version, version, "{reference}");
        let commit = installed.origin.commit.expect("a commit");
        assert_eq!(commit == first, version == "1.0.0");
        assert!(!world.tree().join(".git").exists());
        world.catalog.uninstall(&name()).expect("uninstalled");
    }
}

#[test]
fn a_git_reference_that_is_not_there_is_an_error_with_git_s_own_words() {
    let world = World::new(RUN);
    let (url, _) = repository(&world, world.data.path());
    let error = world.install_from(&format!("{url}@v9")).expect_err("no such tag");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(error.to_string(), "fetching with git failed");
    assert!(cause.contains("v9"), "{cause}");
    assert!(world.left().is_empty());
}

#[test]
fn an_archive_with_one_folder_in_it_is_unpacked() {
    let world = World::new(RUN);
    let archive = world.data.path().join("a.tar.gz");
    let parent = world.source.path().parent().expect("a parent");
    let inner = world.source.path().file_name().expect("a name");
    let status = Command::new("tar")
        .args(["-czf", &archive.display().to_string()])
        .arg(inner)
        .current_dir(parent)
        .status();
    assert!(status.expect("tar runs").success());
    let installed = world.install_from(&archive.display().to_string()).expect("installed");
    assert_eq!(installed.version, "1.0.0");
    assert!(matches!(installed.condition, Condition::Sound(_)));
}

#[test]
fn a_second_install_of_a_name_is_refused() {
    let world = World::new(RUN);
    world.install().expect("installed");
    let error = world.install().expect_err("a second one");
    assert_eq!(
        error.to_string(),
        "a v1.0.0 is already installed; uninstall it first (tinybase extensions uninstall a)"
    );
    assert!(matches!(world.only().condition, Condition::Sound(_)));
}

#[test]
fn a_failed_build_names_the_step_shows_the_tool_and_leaves_nothing() {
    let manifest = format!(
        "{RUN}[extension.build]\ncommand = [\"sh\", \"-c\", \"echo no compiler >&2; exit 1\"]\n"
    );
    let world = World::new(&manifest);
    let error = world.install().expect_err("no compiler");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(error.to_string().starts_with("the build command"), "{error}");
    assert!(cause.contains("no compiler"), "{cause}");
    assert!(world.left().is_empty(), "{:?}", world.left());
    assert!(world.catalog.load().expect("readable").is_empty());
}

#[test]
fn a_build_command_gets_the_schema_and_what_it_makes_is_pinned() {
    let build = "[extension.build]\ncommand = [\"sh\", \"-c\", \"cp $TINYBASE_PROTO made.txt\"]\n";
    let world = World::new(&format!("{RUN}{build}"));
    world.install().expect("installed");
    let made = world.tree().join("made.txt");
    assert_eq!(fs::read_to_string(&made).expect("made"), "syntax = \"proto3\";");
    fs::write(&made, "else").expect("written");
    assert!(world.broken().starts_with("made.txt was changed since it was installed"));
}

#[test]
fn a_changed_file_breaks_only_its_extension_until_it_is_pinned_again() {
    let world = World::new(RUN);
    world.install().expect("installed");
    fs::write(world.tree().join("start"), "#!/bin/sh\necho mine\n").expect("written");
    assert_eq!(
        world.broken(),
        "start was changed since it was installed; if that was meant, accept it with: tinybase \
         extensions repin a; otherwise uninstall and install it again"
    );
    world.catalog.repin(&name()).expect("pinned");
    assert!(matches!(world.only().condition, Condition::Sound(_)));
    fs::remove_dir_all(world.tree()).expect("removed");
    assert!(world.broken().contains("is missing; uninstall and install it again"));
}

#[test]
fn what_the_manifest_declares_holds_while_the_files_are_damaged() {
    let hook = "[[extension.hooks]]\nevent = \"user.login\"\nphase = \"before\"\n";
    let world = World::new(&format!("{RUN}{hook}"));
    let permissions = world.install().expect("installed").permissions;
    fs::write(world.tree().join("extension.toml"), RUN).expect("written");
    assert!(world.broken().starts_with("extension.toml was changed"));
    assert_eq!(world.only().permissions, permissions);
    assert!(matches!(permissions, Permissions::Listed { hooks: Some(_), .. }));
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let world = World::new(RUN);
    world.install().expect("installed");
    let other = World::new(&RUN.replace("name = \"a\"", "name = \"b\""));
    world.install_from(&other.source.path().display().to_string()).expect("installed");
    let b: ExtensionName = "b".parse().expect("a name");
    std::thread::scope(|scope| {
        for name in [name(), b] {
            let catalog = open(world.data.path());
            scope.spawn(move || {
                for _ in 0..20 {
                    assert!(catalog.disable(&name).expect("known"), "nobody undid it");
                    assert!(catalog.enable(&name).expect("known"), "nobody undid it");
                }
            });
        }
    });
}

#[test]
fn enabling_disabling_and_uninstalling_are_kept() {
    let world = World::new(RUN);
    world.install().expect("installed");
    assert!(world.catalog.disable(&name()).expect("known"));
    assert!(!world.catalog.disable(&name()).expect("known"), "no change");
    assert!(!world.only().enabled);
    assert!(world.catalog.enable(&name()).expect("known"));
    assert!(open(world.data.path()).load().expect("readable")[0].enabled);
    world.catalog.uninstall(&name()).expect("known");
    assert!(world.left().is_empty());
    let again = world.catalog.uninstall(&name()).expect_err("gone");
    assert!(matches!(again, CatalogError::NotFound(_)));
}

#[test]
fn what_cannot_be_run_is_refused_with_what_is_missing() {
    let world = World::new("[extension]\nname = \"a\"\nversion = \"1.0.0\"\n");
    let error = world.install().expect_err("nothing to run").to_string();
    assert!(error.contains("a can't be installed: it has nothing to run"), "{error}");
    fs::remove_file(world.source.path().join("extension.toml")).expect("removed");
    let error = world.install().expect_err("no manifest").to_string();
    assert!(error.starts_with("there is no extension.toml in "), "{error}");
    assert!(world.left().is_empty());
}

#[test]
fn a_stopped_install_leaves_nothing() {
    let build = "[extension.build]\ncommand = [\"sleep\", \"600\"]\n";
    let world = World::new(&format!("{RUN}{build}"));
    let stop = CancellationToken::new();
    let on_build = stop.clone();
    let report = move |line: &str| {
        if line.starts_with("building:") {
            on_build.cancel();
        }
    };
    let work = Work::new(&report, stop);
    let source = world.source.path().display().to_string().parse().expect("a source");
    let staged = world.catalog.stage(&source, &work).expect("staged");
    let error = world.catalog.install(staged, &work).expect_err("stopped");
    assert!(matches!(error, InstallError::Stopped), "{error}");
    assert!(world.left().is_empty());
}

#[test]
fn sweeping_removes_what_an_interrupted_change_left() {
    let world = World::new(RUN);
    world.install().expect("installed");
    let folder = world.data.path().join("extensions");
    for left in [".staging-x", ".removed-b", "b/1.0.0-0123456789ab", "a/0.9.0-0123456789ab.env"] {
        fs::create_dir_all(folder.join(left)).expect("made");
    }
    open(world.data.path());
    assert_eq!(world.left(), ["a"]);
    assert!(matches!(world.only().condition, Condition::Sound(_)));
    assert!(!folder.join("a/0.9.0-0123456789ab.env").exists());
}
