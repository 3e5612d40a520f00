use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Check;

/// Opens a connection and closes it at once; the error says what a person would want to know.
pub(crate) async fn probe(check: &Check) -> Result<(), String> {
    match timeout(check.timeout, TcpStream::connect(check.target)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("connect to {}: {error}", check.target)),
        Err(_) => {
            Err(format!("connect to {}: no answer within {}", check.target, milliseconds(check.timeout)))
        }
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
