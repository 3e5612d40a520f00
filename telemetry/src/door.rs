//! A socket in the process's own directory, by which it is told another level: it works when no connection to anybody does,
//! opens no port, and whoever may run the program there may use it.

use std::convert::Infallible;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::LevelArgs;
use crate::error::DoorError;
use crate::level::{Level, Order, Said};

/// Its name in the directory.
pub const SOCKET: &str = "log-level.sock";
/// Who says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// An order is far shorter.
const LONGEST: u64 = 1 << 16;

/// Takes orders until it is dropped.
///
/// # Errors
/// The socket cannot be made, or another process that runs has it.
pub async fn serve(mut level: Level, directory: &Path) -> io::Result<Infallible> {
    let listener = listen(&directory.join(SOCKET)).await?;
    loop {
        tokio::select! {
            caller = listener.accept() => {
                let (mut stream, _) = caller?;
                if is_allowed(&stream) {
                    // One that hangs up in the middle wanted nothing.
                    _ = timeout(PATIENCE, answer(&mut level, &mut stream)).await;
                }
            }
            () = sleep_until(level.ends().unwrap_or_else(Instant::now)), if level.ends().is_some() => level.end(),
        }
    }
}

async fn listen(socket: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = socket.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    if UnixStream::connect(socket).await.is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process that runs listens there"));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(socket),
    }
}

/// Root, and who runs this process.
fn is_allowed(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|caller| caller.uid() == 0 || caller.uid() == geteuid().as_raw())
}

async fn answer(level: &mut Level, stream: &mut UnixStream) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut *stream).take(LONGEST).read_line(&mut line).await?;
    let order = serde_json::from_str::<Order>(&line).map_err(|error| format!("this is no order: {error}"));
    let said = order.and_then(|order| level.take(order));
    let mut text = serde_json::to_string(&said)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await
}

/// Tells the process with this directory what the arguments say; its answer in words.
///
/// # Errors
/// No process listens there, it refuses the caller, or the order is wrong.
pub async fn give(args: &LevelArgs, directory: &Path) -> Result<String, DoorError> {
    let order = match &args.directives {
        _ if args.reset => Order::Reset,
        None => Order::Look,
        Some(directives) => Order::Set {
            directives: directives.clone(),
            for_ms: (!args.keep).then(|| u64::try_from(args.lasts.as_millis()).unwrap_or(u64::MAX)),
        },
    };
    let said = ask(&directory.join(SOCKET), &order).await?;
    Ok(words(&said))
}

async fn ask(socket: &Path, order: &Order) -> Result<Said, DoorError> {
    let nobody = |source| DoorError::Nobody { socket: PathBuf::from(socket), source };
    let mut stream = UnixStream::connect(socket).await.map_err(nobody)?;
    let mut text = serde_json::to_string(order).expect("an order has string keys only");
    text.push('\n');
    let mut answer = String::new();
    let asked = async {
        stream.write_all(text.as_bytes()).await?;
        stream.read_to_string(&mut answer).await
    };
    if asked.await.is_err() || answer.is_empty() {
        return Err(DoorError::Refused { socket: socket.to_owned() });
    }
    let said = serde_json::from_str::<Result<Said, String>>(&answer);
    said.map_err(|error| DoorError::Wrong(error.to_string()))?.map_err(DoorError::Wrong)
}

fn words(said: &Said) -> String {
    let Said { directives, usual, until } = said;
    let until = until.and_then(|until| jiff::Timestamp::from_millisecond(until).ok());
    match until {
        Some(until) => format!("{directives} until {until:.0}, then {usual}"),
        None if directives == usual => format!("{directives}, as usual"),
        None => format!("{directives} until it ends; usually {usual}"),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::reload;

    use super::*;
    use crate::level::parse;

    fn args(directives: Option<&str>, lasts: u64, reset: bool) -> LevelArgs {
        let directives = directives.map(str::to_owned);
        LevelArgs { directives, lasts: Duration::from_secs(lasts), keep: false, reset }
    }

    #[tokio::test]
    async fn who_asks_is_told_and_a_stale_socket_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("state");
        let nobody = give(&args(None, 1, false), &directory).await.unwrap_err().to_string();
        assert!(nobody.contains("nothing that runs here listens"), "{nobody}");
        std::fs::create_dir(&directory).unwrap();
        drop(std::os::unix::net::UnixListener::bind(directory.join(SOCKET)).unwrap());

        let (filter, handle) = reload::Layer::new(parse("info").unwrap());
        let (level, at) = (Level::new(handle, "info".to_owned()), directory.clone());
        let serving = tokio::spawn(async move {
            let _filter = filter;
            serve(level, &at).await
        });
        while UnixStream::connect(directory.join(SOCKET)).await.is_err() {
            tokio::task::yield_now().await;
        }
        let tell = async |directives, lasts, reset| give(&args(directives, lasts, reset), &directory).await;
        assert_eq!(tell(None, 1, false).await.unwrap(), "info, as usual");
        let set = tell(Some("debug"), 60, false).await.unwrap();
        assert!(set.starts_with("debug until 20") && set.ends_with(", then info"), "{set}");
        assert!(tell(Some("="), 1, false).await.unwrap_err().to_string().contains("write debug"));
        assert_eq!(tell(None, 1, true).await.unwrap(), "info, as usual");

        let (_other, handle) = reload::Layer::new(parse("info").unwrap());
        let second = serve(Level::new(handle, "info".to_owned()), &directory).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        serving.abort();
    }
}
