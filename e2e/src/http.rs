//! The smallest web server and client that a test of real traffic needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;

const PATIENCE: Duration = Duration::from_secs(2);

/// Serves one page with the server's name on every address, IPv4 and IPv6, until the process ends.
pub fn serve(port: u16, name: &str) -> anyhow::Result<()> {
    let page = format!("{name}\n");
    let length = page.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}")
        .into_bytes();
    for stream in TcpListener::bind(("::", port))?.incoming() {
        // A reader that goes away is not the server's trouble.
        let _ = stream.map_err(anyhow::Error::from).and_then(|stream| reply(stream, &answer));
    }
    Ok(())
}

fn reply(mut stream: TcpStream, answer: &[u8]) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while !lines.next().transpose()?.unwrap_or_default().is_empty() {}
    Ok(stream.write_all(answer)?)
}

/// Asks for the page and says which server's it is; fails unless it comes whole.
pub fn get(mut stream: TcpStream) -> anyhow::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("no answer")?;
    let whole = head.contains(&format!("Content-Length: {}\r\n", page.len()));
    anyhow::ensure!(head.starts_with("HTTP/1.1 200 ") && whole, "not the whole page");
    Ok(page.trim_end().to_owned())
}

/// Asks any server for a page; fails unless it is there.
pub fn ask(mut stream: TcpStream, path: &str) -> anyhow::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("no answer")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {page}");
    Ok(page.to_owned())
}
