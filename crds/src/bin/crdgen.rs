//! Writes the CustomResourceDefinitions from the Rust types; with `--check` it compares instead, names the
//! files that differ and exits with 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use sluice_crds::{Kind, definition_yaml};

fn main() -> ExitCode {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        other => {
            eprintln!("unknown arguments {other:?}: write nothing, or --check");
            return ExitCode::from(2);
        }
    };
    let mut clean = true;
    for (path, wanted) in files() {
        let done = if check { compare(&path, &wanted) } else { write(&path, &wanted) };
        if let Err(message) = done {
            eprintln!("{}: {message}", path.display());
            clean = false;
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every generated file with what it should hold.
fn files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.join("generated"), root.join("../charts/sluice/files/crds")];
    let kinds = Kind::ALL.map(|kind| (format!("{}.yaml", kind.plural()), definition_yaml(kind)));
    folders
        .iter()
        .flat_map(|folder| kinds.iter().map(|(name, yaml)| (folder.join(name), yaml.clone())))
        .collect()
}

fn compare(path: &Path, wanted: &str) -> Result<(), String> {
    match fs::read_to_string(path) {
        Ok(found) if found == wanted => Ok(()),
        Ok(_) => Err("differs from the types: run cargo run -p sluice-crds --bin crdgen".to_owned()),
        Err(error) => Err(format!("{error}: run cargo run -p sluice-crds --bin crdgen")),
    }
}

fn write(path: &Path, wanted: &str) -> Result<(), String> {
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, wanted)
    };
    write().map_err(|error| error.to_string())
}
