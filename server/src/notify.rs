//! Telling systemd how the server is: one datagram to the socket that it names.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd wants to be told.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Sends a state such as `READY=1`; does nothing where nobody asked for it.
pub(crate) fn send(state: &str) -> io::Result<()> {
    match std::env::var(VARIABLE) {
        Ok(path) if !path.is_empty() => send_to(&path, state),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn send_to(path: &str, state: &str) -> io::Result<()> {
    // A leading '@' means the abstract namespace.
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_as_one_datagram() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        send_to(path.to_str().expect("text"), "READY=1").expect("sent");
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("received");
        assert_eq!(&buffer[..length], b"READY=1");
    }
}
