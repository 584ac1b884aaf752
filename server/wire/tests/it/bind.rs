//! The socket file.

use std::os::unix::fs::PermissionsExt as _;

use tinybase_wire::BindError;

use crate::kit::TestWire;

#[tokio::test]
async fn the_socket_is_for_its_owner_and_goes_with_the_server() {
    let wire = TestWire::start();
    let mode = std::fs::metadata(wire.path()).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    wire.stop().await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let wire = TestWire::start();
    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("bound"));
    let bound = wire.wire.bind(&stale).expect("replaced");
    let error = wire.wire.bind(&stale).expect_err("it listens");
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    drop(bound);
}

#[tokio::test]
async fn a_file_in_the_way_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "precious").expect("written");
    let wire = TestWire::start();
    let error = wire.wire.bind(&path).expect_err("in the way");
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
    let error = wire.wire.bind(&folder.path().join("no/such/folder.sock")).expect_err("no folder");
    assert!(matches!(error, BindError::Bind { .. }), "{error}");
}
