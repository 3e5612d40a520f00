//! The agent's key and certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::pem::parse_x509_pem;

use crate::ClientError;

/// PEM, as shown to the operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Leaf first.
    pub certificate: String,
    pub private_key: String,
}

impl std::fmt::Debug for Identity {
    /// Without the key: this ends in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("validity", &self.validity()).finish_non_exhaustive()
    }
}

/// Where the identity is kept over restarts, so that an agent comes back while nobody can judge its token.
pub trait Vault: Send + Sync + 'static {
    fn load(&self) -> Option<Identity>;
    fn save(&self, identity: &Identity);
}

/// Start and end of the certificate's validity.
pub(crate) type Validity = (SystemTime, SystemTime);

impl Identity {
    /// # Errors
    /// When the text holds no certificate.
    pub(crate) fn validity(&self) -> Result<Validity, ClientError> {
        let damaged = |error: &dyn std::fmt::Display| ClientError::Certificate(error.to_string());
        let (_, pem) = parse_x509_pem(self.certificate.as_bytes()).map_err(|error| damaged(&error))?;
        let certificate = pem.parse_x509().map_err(|error| damaged(&error))?;
        let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0));
        let validity = certificate.validity();
        Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
    }

    /// End of the certificate's validity; `None` if it does not parse.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.validity().ok().map(|(_, end)| end)
    }

    pub(crate) fn is_valid(&self, now: SystemTime) -> bool {
        self.validity().is_ok_and(|(_, end)| now < end)
    }

    /// The moment at half of its life, when a new one is asked for.
    pub(crate) fn half_life(&self) -> Option<SystemTime> {
        let (start, end) = self.validity().ok()?;
        Some(start + end.duration_since(start).ok()? / 2)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn identity() -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["node-1".into()]).expect("params");
        (params.not_before, params.not_after) = (date_time_ymd(2030, 1, 1), date_time_ymd(2030, 1, 3));
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Identity { certificate, private_key: key.serialize_pem() }
    }

    #[test]
    fn half_life_is_in_the_middle() {
        let identity = identity();
        let (start, end) = identity.validity().expect("a certificate");
        let day = Duration::from_secs(86_400);
        assert_eq!(identity.half_life(), Some(start + day));
        assert!(identity.is_valid(end - Duration::from_secs(1)) && !identity.is_valid(end));
    }

    #[test]
    fn the_key_stays_out_of_logs() {
        let identity = identity();
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
