//! A plain HTTP/1.1 client: one request, one connection, one reply.

use super::PATIENCE;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    pub body: String,
}

/// Sends a request line such as `GET /metrics` and reads the reply to the end of the connection.
pub fn ask(server: SocketAddr, request: &str) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    read(&mut stream)
}

/// Reads one reply from a connection that the server closes after the reply.
pub fn read(stream: &mut TcpStream) -> std::io::Result<Reply> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other(format!("no head: {text:?}")))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {head:?}")))?;
    Ok(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// GET; the server has to be there.
pub fn get(server: SocketAddr, path: &str) -> Reply {
    ask(server, &format!("GET {path}")).unwrap()
}
