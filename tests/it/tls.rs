//! HTTPS: certificates that can't be used, a client that trusts one, and plain HTTP where it isn't spoken.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tinybase_tests::{Process, TestServer, leave_out, wait_for, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with certificates, made by OpenSSL.
struct Certificates(TempDir);

impl Certificates {
    /// None, and a word about it, where the programs aren't.
    fn new() -> Result<Option<Self>> {
        for program in ["openssl", "curl"] {
            if Command::new(program).arg("version").output().is_err() {
                leave_out("HTTPS", &format!("there is no {program}"));
                return Ok(None);
            }
        }
        Ok(Some(Self(tempfile::tempdir()?)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, line: &str) -> Result<()> {
        let run = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(self.0.path())
            .output()
            .context("openssl")?;
        ensure!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
        Ok(())
    }

    /// `NAME.key` and `NAME.pem`, valid for so many days from now.
    fn make(&self, name: &str, days: i32) -> Result<()> {
        std::fs::write(self.path("names"), "subjectAltName = DNS:localhost, IP:127.0.0.1\n")?;
        self.openssl(&format!("ecparam -genkey -name prime256v1 -noout -out {name}.key"))?;
        self.openssl(&format!("req -new -key {name}.key -subj /CN=localhost -out {name}.csr"))?;
        self.openssl(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days {days} -extfile names -out {name}.pem"
        ))
    }
}

fn flags(certificate: &Path, key: &Path) -> [String; 2] {
    [
        format!("server.tls.certificate={}", certificate.display()),
        format!("server.tls.key={}", key.display()),
    ]
}

#[tokio::test]
async fn a_certificate_that_cant_be_used_is_named_with_what_to_do() -> Result<()> {
    let Some(made) = Certificates::new()? else { return Ok(()) };
    made.make("good", 30)?;
    made.make("other", 30)?;
    made.make("old", -1)?;
    std::fs::write(made.path("empty.pem"), "")?;
    std::fs::write(
        made.path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    )?;
    let rubbish = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    std::fs::write(made.path("rubbish.pem"), rubbish)?;
    let mut server = TestServer::start().await?;
    server.kill().await?;
    for (certificate, key, words) in [
        ("empty.pem", "good.key", "has no certificate"),
        ("good.key", "good.key", "has no certificate"),
        ("broken.pem", "good.key", "failed to read the certificate"),
        ("missing.pem", "good.key", "failed to read the certificate"),
        ("rubbish.pem", "good.key", "can't be used together"),
        ("good.pem", "missing.key", "failed to read the private key"),
        ("good.pem", "good.pem", "BEGIN PRIVATE KEY"),
        ("good.pem", "other.key", "can't be used together"),
        ("old.pem", "old.key", "expired at"),
    ] {
        let [one, two] = flags(&made.path(certificate), &made.path(key));
        for command in [&["serve", "--port", "0"][..], &["config", "check"]] {
            let args = [command, &["--set", &one, "--set", &two]].concat();
            let output = timeout(PATIENCE, server.cli(&args)).await.context("it starts")??;
            let errors = String::from_utf8_lossy(&output.stderr);
            let row = format!("{certificate} {key}: {errors}");
            ensure!(!output.status.success(), "{row}");
            ensure!(errors.contains(words) && errors.contains("[server.tls]"), "{row}");
            ensure!(!errors.contains("panicked"), "{row}");
        }
    }
    Ok(())
}

/// Asks as a client that trusts one certificate only.
async fn ask(trusted: &Path, port: &str) -> Result<Output> {
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--cacert"]);
    curl.arg(trusted).arg(format!("https://localhost:{port}/health"));
    curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
    Ok(curl.output().await?)
}

#[tokio::test]
async fn https_is_served_also_after_a_change_and_plain_http_is_not() -> Result<()> {
    let Some(made) = Certificates::new()? else { return Ok(()) };
    for name in ["first", "second"] {
        made.make(name, 30)?;
    }
    let (certificate, key) = (made.path("served.pem"), made.path("served.key"));
    let serve_with = |name: &str| -> Result<()> {
        std::fs::copy(made.path(&format!("{name}.key")), &key)?;
        std::fs::copy(made.path(&format!("{name}.pem")), &certificate)?;
        Ok(())
    };
    serve_with("first")?;
    let mut server = TestServer::start().await?;
    server.kill().await?;
    let address = server.folder().join("run/http.address");
    drop(std::fs::remove_file(&address));
    let [one, two] = flags(&certificate, &key);
    let mut child = server
        .command()?
        .args(["serve", "--host", "127.0.0.1", "--port", "0", "--set", &one, "--set", &two])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let address = wait_for("the server says where it listens", PATIENCE, || async {
        let text = std::fs::read_to_string(&address).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
    .await;
    let (_, port) = address.rsplit_once(':').context("a port")?;

    let answer = ask(&made.path("first.pem"), port).await?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    ensure!(String::from_utf8_lossy(&answer.stdout).contains("healthy"));
    ensure!(!ask(&made.path("second.pem"), port).await?.status.success(), "it isn't trusted");
    let mut plain = TcpStream::connect(&address).await?;
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = Vec::new();
    drop(timeout(PATIENCE, plain.read_to_end(&mut answer)).await.context("it stays open")?);
    ensure!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));

    let process = Process(child.id().context("it has ended")?);
    serve_with("second")?;
    process.signal(Signal::HUP)?;
    wait_until("the new certificate is served", PATIENCE, || async {
        ask(&made.path("second.pem"), port).await.is_ok_and(|answer| answer.status.success())
    })
    .await;
    // One that can't be used changes nothing.
    std::fs::write(&certificate, "nonsense")?;
    process.signal(Signal::HUP)?;
    for _ in 0..3 {
        ensure!(ask(&made.path("second.pem"), port).await?.status.success());
    }
    process.signal(Signal::TERM)?;
    let ended = timeout(PATIENCE, child.wait()).await.context("it goes on")??;
    ensure!(ended.success(), "{ended}");
    Ok(())
}
