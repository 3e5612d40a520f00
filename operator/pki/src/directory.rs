//! Directory mode's authority on disk.

use std::fs::{DirBuilder, create_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::authority::YEAR;
use crate::{Authority, KeyAndCertificate, PkiError, Tokens, files};

/// `DATA/pki`, or another directory that replicas share: ca.crt, ca.key, token.key, admin.crt, admin.key. Keys have mode 0600.
pub struct Directory {
    pub authority: Authority,
    pub tokens: Tokens,
    path: PathBuf,
}

impl Directory {
    /// Opens `DATA/pki`, makes what is missing, and renews the administrator's certificate when less than a third of
    /// its year is left.
    pub fn open(data: &Path, now: SystemTime) -> Result<Directory, PkiError> {
        Directory::at(data.join("pki"), now)
    }

    /// As [`Directory::open`], elsewhere.
    pub fn at(path: PathBuf, now: SystemTime) -> Result<Directory, PkiError> {
        make_private(&path)?;
        let authority = authority(&path, now)?;
        let tokens = tokens(&path)?;
        admin(&path, &authority, now)?;
        Ok(Directory { authority, tokens, path })
    }

    /// What agents and the CLI are given as `--ca`.
    pub fn ca_file(&self) -> PathBuf {
        self.path.join("ca.crt")
    }
}

fn make_private(path: &Path) -> Result<(), PkiError> {
    let io = |source| PkiError::Io { path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_dir_all(parent).map_err(io)?;
    }
    DirBuilder::new().mode(0o700).create(path).map_err(io)
}

/// The key is written first: a certificate without its key could not be told from a lost key.
fn authority(dir: &Path, now: SystemTime) -> Result<Authority, PkiError> {
    let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
    match (files::read(&cert_path)?, files::read(&key_path)?) {
        (Some(certificate), Some(key)) => Authority::from_pem(&certificate, &key)
            .map_err(|error| PkiError::Damaged { path: cert_path, reason: error.to_string() }),
        (Some(_), None) => {
            Err(PkiError::Damaged { path: key_path, reason: "ca.crt is there, its key is not".into() })
        }
        (None, _) => {
            let (authority, pair) = Authority::generate(now)?;
            files::write(&key_path, pair.key.as_bytes(), 0o600)?;
            files::write(&cert_path, pair.certificate.as_bytes(), 0o644)?;
            Ok(authority)
        }
    }
}

fn tokens(dir: &Path) -> Result<Tokens, PkiError> {
    let path = dir.join("token.key");
    if let Some(text) = files::read(&path)? {
        let key = hex::decode(text.trim()).ok().and_then(|key| key.try_into().ok());
        return key
            .map(|key| Tokens::new(&key))
            .ok_or_else(|| PkiError::Damaged { path, reason: "not 64 hex digits".into() });
    }
    let key: [u8; 32] = rand::random();
    files::write(&path, hex::encode(key).as_bytes(), 0o600)?;
    Ok(Tokens::new(&key))
}

fn admin(dir: &Path, authority: &Authority, now: SystemTime) -> Result<(), PkiError> {
    let (cert_path, key_path) = (dir.join("admin.crt"), dir.join("admin.key"));
    let kept = files::read(&cert_path)?.is_some_and(|found| authority.vouches_for(&found, now, YEAR / 3));
    if kept && files::read(&key_path)?.is_some() {
        return Ok(());
    }
    let KeyAndCertificate { certificate, key } = authority.issue_admin("admin", now)?;
    files::write(&key_path, key.as_bytes(), 0o600)?;
    files::write(&cert_path, certificate.as_bytes(), 0o644)
}
