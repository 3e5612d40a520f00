//! Writes the CustomResourceDefinitions from the Rust types; with `--check` it compares instead, names the
//! files that differ and exits with 1.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use sluice_crds::generated_files;

fn main() -> ExitCode {
    let act = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => write,
        [flag] if flag == "--check" => compare,
        other => {
            eprintln!("unknown arguments {other:?}: write nothing, or --check");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut done = ExitCode::SUCCESS;
    for (path, wanted) in generated_files() {
        if let Err(error) = act(&root.join(&path), &wanted) {
            eprintln!("{}: {error}", path.display());
            done = ExitCode::FAILURE;
        }
    }
    done
}

fn write(path: &Path, wanted: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, wanted)
}

fn compare(path: &Path, wanted: &str) -> io::Result<()> {
    if fs::read_to_string(path)? == wanted {
        return Ok(());
    }
    Err(io::Error::other("differs from the Rust types: run cargo run -p sluice-crds --bin crdgen"))
}
