//! One YAML file per object below `status/`, replaced whole on change.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_index::ObjectKey;

use super::Found;

#[derive(Debug)]
pub struct DirectoryWriter {
    path: PathBuf,
}

impl DirectoryWriter {
    pub fn new(path: impl Into<PathBuf>) -> io::Result<DirectoryWriter> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(DirectoryWriter { path })
    }

    /// What an earlier process wrote; a file that is no status is none.
    pub fn found(&self) -> io::Result<BTreeMap<ObjectKey, Found>> {
        let mut found = BTreeMap::new();
        for path in self.files("yaml")? {
            let text = fs::read_to_string(path)?;
            let Ok(object) = serde_saphyr::from_str::<Value>(&text) else { continue };
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &object["metadata"];
            let key = ObjectKey {
                kind: word(&object["kind"]),
                namespace: word(&metadata["namespace"]),
                name: word(&metadata["name"]),
            };
            found.insert(key, Found { uid: String::new(), status: object["status"].clone() });
        }
        Ok(found)
    }

    /// Removes all statuses, and what is said of the source.
    pub fn clear(&self) -> io::Result<()> {
        self.write_problems(&[])?;
        self.files("yaml")?.into_iter().try_for_each(fs::remove_file)
    }

    fn files(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let entries: Vec<fs::DirEntry> = fs::read_dir(&self.path)?.collect::<io::Result<_>>()?;
        let paths = entries.into_iter().map(|entry| entry.path());
        Ok(paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
    }

    /// Writes `<kind>-[<namespace>-]<name>.yaml` through a temporary file, so that a reader sees all or nothing.
    pub fn write(&self, key: &ObjectKey, status: &Value) -> io::Result<()> {
        let object = serde_json::json!({
            "apiVersion": sluice_crds::API_VERSION,
            "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": status,
        });
        let text = serde_saphyr::to_string(&object).map_err(io::Error::other)?;
        replace(&self.path.join(file_name(key)), &text)
    }

    pub fn remove(&self, key: &ObjectKey) -> io::Result<()> {
        match fs::remove_file(self.path.join(file_name(key))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What is wrong with the source, for people who look at files only; removed when nothing is.
    pub fn write_problems(&self, problems: &[String]) -> io::Result<()> {
        let file = self.path.join("problems.txt");
        if problems.is_empty() {
            return match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        replace(&file, &(problems.join("\n") + "\n"))
    }
}

fn file_name(key: &ObjectKey) -> String {
    let parts = [key.kind.to_lowercase(), key.namespace.clone(), key.name.clone()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}.yaml", parts.join("-"))
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    let temporary = file.with_extension("tmp");
    let mut written = fs::File::create(&temporary)?;
    written.write_all(text.as_bytes())?;
    fs::rename(temporary, file)
}
