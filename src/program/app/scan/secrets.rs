//! The certificate of the encrypted transports, and the secrets of cookies.

use super::{Files, Findings, Part, ScanEnded};
use crate::program::{app::cookies::CookieSecrets, certificate::Certificate, telemetry};

/// What the thread of secrets owns.
#[derive(Debug)]
pub(in crate::program::app) struct Secrets {
    /// Where anything needs one.
    certificate: Option<Certificate>,
    cookies: CookieSecrets,
    findings: Findings,
}

impl Secrets {
    pub(in crate::program::app) fn new(
        certificate: Option<Certificate>,
        cookies: CookieSecrets,
        findings: Findings,
    ) -> Secrets {
        Secrets { certificate, cookies, findings }
    }
}

impl Files for Secrets {
    fn scan(&mut self) -> Result<(), ScanEnded> {
        let wrong = self.certificate.as_mut().and_then(Certificate::refresh);
        telemetry::report(wrong.as_slice());
        self.cookies.refresh();
        let wrong = self.certificate.as_ref().and_then(Certificate::wrong).cloned();
        self.findings.publish(Part::Secrets, wrong.into_iter().collect());
        Ok(())
    }
}
