//! A directory of YAML or JSON files, watched.
//!
//! # Guarantees
//! A file that cannot be read or parsed leaves the objects of its last good reading in force and is reported with line
//! and column; so is an object that another file already names.

mod file;
mod lists;
mod parse;
mod scan;
mod watch;

pub use lists::Lists;
pub use parse::{Document, MAX_FILE_BYTES, parse_documents, parse_fleet};
pub use scan::Directory;
pub use watch::{WatchError, watch};
