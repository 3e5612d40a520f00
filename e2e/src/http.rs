//! The smallest web server and client that a test of real traffic needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves one page on every address until the process ends.
pub fn serve(port: u16) -> anyhow::Result<()> {
    for stream in TcpListener::bind(("0.0.0.0", port))?.incoming() {
        // A reader that goes away is not the server's trouble.
        let _ = stream.map_err(anyhow::Error::from).and_then(answer);
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while !lines.next().transpose()?.unwrap_or_default().is_empty() {}
    Ok(stream.write_all(ANSWER)?)
}

/// Asks for the page; fails unless it comes whole.
pub fn get(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    anyhow::ensure!(answer == ANSWER, "not the whole page");
    Ok(())
}
