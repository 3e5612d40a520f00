//! What a replica of the operator shows to whoever connects, and to the other replicas.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Authority, KeyAndCertificate, PkiError};

/// One certificate at a time; another, with a key of its own, once half of its life is over. It is made when it is asked
/// for, so nothing has to run for it, and connections that stand are not touched.
pub struct Credentials {
    authority: Arc<Authority>,
    names: Vec<String>,
    valid: Duration,
    clock: fn() -> SystemTime,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    pair: Arc<KeyAndCertificate>,
    shown: Arc<CertifiedKey>,
    replace_at: SystemTime,
}

impl Credentials {
    /// A process that runs for longer than this is usual.
    pub const VALIDITY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// `names` are the DNS names and IP addresses that the replica is reached by.
    pub fn new(
        authority: Arc<Authority>,
        names: &[String],
        valid: Duration,
        clock: fn() -> SystemTime,
    ) -> Result<Arc<Credentials>, PkiError> {
        let current = issue(&authority, names, valid, clock())?;
        Ok(Arc::new(Credentials { authority, names: names.to_vec(), valid, clock, current: current.into() }))
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The same one until it is replaced.
    pub fn pair(&self) -> Arc<KeyAndCertificate> {
        self.current().pair
    }

    fn current(&self) -> Current {
        // No code that can panic runs under the lock.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        // What was issued once with these names is issued again; if not, the former one is good for as long again.
        if current.replace_at <= now
            && let Ok(next) = issue(&self.authority, &self.names, self.valid, now)
        {
            *current = next;
        }
        current.clone()
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().shown)
    }
}

impl fmt::Debug for Credentials {
    /// Without the key: this may end in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("names", &self.names).finish_non_exhaustive()
    }
}

fn issue(
    authority: &Authority,
    names: &[String],
    valid: Duration,
    now: SystemTime,
) -> Result<Current, PkiError> {
    let pair = authority.issue_operator(names, now, valid)?;
    let unfit = |error: &dyn fmt::Display| PkiError::Request(error.to_string());
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| unfit(&error))?;
    let shown = CertifiedKey::from_der(chain.map_err(|error| unfit(&error))?, key, &default_provider());
    let shown = Arc::new(shown.map_err(|error| unfit(&error))?);
    Ok(Current { pair: Arc::new(pair), shown, replace_at: now + valid / 2 })
}
