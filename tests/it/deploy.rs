//! What is shipped for running a server: the unit for systemd.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use tinybase_tests::{binary, checkout, leave_out};

fn said(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(errors))
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_calls_well_protected() -> Result<()> {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        leave_out("the unit for systemd", "there is no systemd-analyze");
        return Ok(());
    };
    // `security --offline` came with 250.
    let version = said(&version);
    let number = version.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    if number.unwrap_or(0) < 250 {
        leave_out("the unit for systemd", "systemd-analyze is older than 250");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let unit = folder.path().join("tinybase.service");
    let text = std::fs::read_to_string(checkout().join("deploy/tinybase.service"))?;
    ensure!(text.contains("/usr/local/bin/tinybase"), "{text}");
    // Where it is installed there is a program; here it is another.
    let program = binary("tinybase")?.display().to_string();
    std::fs::write(&unit, text.replace("/usr/local/bin/tinybase", &program))?;
    let verified = Command::new("systemd-analyze").arg("verify").arg(&unit).output()?;
    ensure!(verified.status.success(), "{}", said(&verified));
    ensure!(!said(&verified).contains("tinybase.service:"), "{}", said(&verified));
    // An exposure of 2.0 at most; it is 1.7 with systemd 252.
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20", "--no-pager"])
        .arg(&unit)
        .output()?;
    ensure!(judged.status.success(), "{}", said(&judged));
    Ok(())
}
