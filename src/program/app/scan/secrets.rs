//! The certificate of the encrypted transports, and the secrets of cookies.

use super::{Files, Findings, Part, ScanEnded};
use crate::program::{
    app::{cookies::CookieSecrets, messages::ControlRequest},
    certificate::Certificate,
    telemetry,
};
use std::sync::{Arc, mpsc::SyncSender};

/// What the thread of secrets owns.
#[derive(Debug)]
pub(in crate::program::app) struct Secrets {
    /// Where anything needs one.
    certificate: Option<Certificate>,
    cookies: CookieSecrets,
    findings: Findings,
    /// What the API shows of the certificate, in PEM, and who is told of another one; `None` where it shows none.
    shown_by_api: Option<(Arc<str>, SyncSender<ControlRequest>)>,
}

impl Secrets {
    pub(in crate::program::app) fn new(
        certificate: Option<Certificate>,
        cookies: CookieSecrets,
        findings: Findings,
    ) -> Secrets {
        Secrets { certificate, cookies, findings, shown_by_api: None }
    }

    /// Tells the control loop of another certificate, since the API shows it.
    pub(in crate::program::app) fn shown_by_api(mut self, requests: Option<SyncSender<ControlRequest>>) -> Secrets {
        self.shown_by_api = self.certificate.as_ref().map(|certificate| certificate.pem().into()).zip(requests);
        self
    }

    /// What clients are shown is also what pods find in `kube-root-ca.crt`.
    fn tell_of_certificate(&mut self) -> Result<(), ScanEnded> {
        let (Some(certificate), Some((shown, requests))) = (&self.certificate, &mut self.shown_by_api) else {
            return Ok(());
        };
        let pem = certificate.pem();
        if **shown == *pem {
            return Ok(());
        }
        *shown = pem.into();
        requests.send(ControlRequest::Certificate(Arc::clone(shown))).map_err(|_| ScanEnded)
    }
}

impl Files for Secrets {
    fn scan(&mut self) -> Result<(), ScanEnded> {
        let wrong = self.certificate.as_mut().and_then(Certificate::refresh);
        telemetry::report(wrong.as_slice());
        self.tell_of_certificate()?;
        self.cookies.refresh();
        let wrong = self.certificate.as_ref().and_then(Certificate::wrong).cloned();
        self.findings.publish(Part::Secrets, wrong.into_iter().collect());
        Ok(())
    }
}
