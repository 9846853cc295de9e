//! The certificate shown over TLS, HTTPS and QUIC: from PEM files, read again when they change, or made at the start.

#[cfg(test)]
mod tests;

use crate::text::{diagnostic::Diagnostic, regular_file};
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// Largest file that is read, in octets; a chain has some thousand.
pub const FILE_OCTETS_MAX: u64 = 1 << 20;
/// What goes on when the files that are there now are of no use.
const KEPT: &str = "clients are still shown the certificate that was read before";

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum CertificateSource {
    /// PEM files, which are read again when they change.
    Files {
        /// The certificate, and those that lead to its root.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made at the start for these names and addresses, and signed by itself.
    SelfSigned(Vec<String>),
}

/// A certificate with its key, and where they come from.
#[derive(Debug)]
pub struct Certificate {
    source: CertificateSource,
    /// The hashes of what the files held when they were looked at last; empty for one that was made here.
    seen: Vec<Vec<u8>>,
    /// Whether that was the certificate that is shown.
    good: bool,
    shown: Arc<CurrentCertificate>,
    /// What is wrong with the files as they are now.
    wrong: Option<Diagnostic>,
}

/// What clients are shown now; every handshake asks anew.
#[derive(Debug)]
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for CurrentCertificate {
    /// One server, one certificate: the name that the client asks for does not matter.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Certificate {
    /// Reads the files, or makes a certificate.
    ///
    /// # Errors
    /// What is wrong, with the file and what to do about it.
    pub fn open(source: &CertificateSource) -> Result<Certificate, Box<Diagnostic>> {
        let (seen, key) = match source {
            CertificateSource::Files { certificate, key } => {
                let contents = [read(certificate)?, read(key)?];
                (hashes(&contents), understand(certificate, key, &contents)?)
            }
            CertificateSource::SelfSigned(names) => (Vec::new(), make(names)?),
        };
        let shown = Arc::new(CurrentCertificate(RwLock::new(Arc::new(key))));
        Ok(Certificate { source: source.clone(), seen, good: true, shown, wrong: None })
    }

    /// What the transports ask for the certificate at each handshake.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.shown) as Arc<dyn ResolvesServerCert>
    }

    /// How a server that shows it shakes hands; `alpn` are the protocols that it offers.
    ///
    /// # Errors
    /// When the library does not take its own protocol versions.
    pub fn server_config(&self, alpn: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(self.resolver());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Whether it was made here.
    pub fn is_self_signed(&self) -> bool {
        matches!(self.source, CertificateSource::SelfSigned(_))
    }

    /// The hash of the public key that clients can pin (RFC 7858 §4.2), in base64, as `kdig +tls-pin` and
    /// `curl --pinnedpubkey sha256//` take it.
    pub fn pin(&self) -> String {
        let spki = self.shown.get().key.public_key().map(|key| BASE64.encode(digest(&SHA256, &key).as_ref()));
        spki.unwrap_or_default()
    }

    /// The certificates that are shown, in PEM: what clients that know no other authority can trust.
    pub fn pem(&self) -> String {
        const LINE: usize = 64;
        let one = |certificate: &CertificateDer<'_>| {
            let text = BASE64.encode(certificate);
            let lines = text.as_bytes().chunks(LINE).map(|line| String::from_utf8_lossy(line) + "\n");
            format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
        };
        self.shown.get().cert.iter().map(one).collect()
    }

    /// Looks at the files again. If they have changed and are good, new handshakes get the new certificate; if not, the
    /// one in use stays. What is wrong is returned once, and by [`Certificate::wrong`] as long as it is.
    pub fn refresh(&mut self) -> Option<Diagnostic> {
        let CertificateSource::Files { certificate, key } = &self.source else { return None };
        let outcome = read(certificate).and_then(|first| Ok([first, read(key)?])).and_then(|contents| {
            let seen = hashes(&contents);
            if seen == self.seen {
                return Ok(None);
            }
            let found = understand(certificate, key, &contents);
            // Also if it is of no use: it need not be looked at again.
            (self.seen, self.good) = (seen, found.is_ok());
            found.map(Some)
        });
        match outcome {
            Ok(Some(found)) => {
                *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
                self.wrong = None;
                tracing::info!(file = %certificate.display(), pin = self.pin(), "a new certificate is in use");
                None
            }
            Ok(None) => {
                // Unchanged, be it good or bad; but what could not be read for a while is there again.
                self.wrong.take_if(|_| self.good);
                None
            }
            Err(wrong) => {
                let wrong = Diagnostic { kept: KEPT.to_owned(), ..*wrong };
                let new = self.wrong.as_ref() != Some(&wrong);
                self.wrong = Some(wrong.clone());
                new.then_some(wrong)
            }
        }
    }

    /// What is wrong with the files as they are now.
    pub fn wrong(&self) -> Option<&Diagnostic> {
        self.wrong.as_ref()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    let refused = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "put it there, or name another one in `tls` of the settings",
            io::ErrorKind::PermissionDenied => "let the user that this program runs as read it",
            io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => "name the right file in `tls` of the settings",
            _ => "",
        };
        Box::new(Diagnostic::error(path, format!("the file cannot be read: {error}")).help(help))
    };
    regular_file::read(path, FILE_OCTETS_MAX).map_err(refused)
}

fn hashes(contents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    contents.iter().map(|contents| digest(&SHA256, contents).as_ref().to_vec()).collect()
}

/// The contents of both files as one certificate with its key.
fn understand(
    certificate: &Path,
    key: &Path,
    [of_certificate, of_key]: &[Vec<u8>; 2],
) -> Result<CertifiedKey, Box<Diagnostic>> {
    let refused = |path: &Path, message: String, help: &str| Box::new(Diagnostic::error(path, message).help(help));
    let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
        CertificateDer::pem_slice_iter(of_certificate).collect();
    let chain = chain.map_err(|error| refused(certificate, format!("this is not PEM: {error}"), "save it as PEM"))?;
    if chain.is_empty() {
        let help =
            "it has to hold the server's certificate in PEM (-----BEGIN CERTIFICATE-----), then the ones above it";
        return Err(refused(certificate, "there is no certificate in it".to_owned(), help));
    }
    let private = PrivateKeyDer::from_pem_slice(of_key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let help = "it has to hold the private key in PEM, not encrypted (-----BEGIN PRIVATE KEY-----)";
            refused(key, "there is no private key in it".to_owned(), help)
        }
        error => refused(key, format!("this is not PEM: {error}"), "save it as PEM"),
    })?;
    CertifiedKey::from_der(chain, private, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let message = format!("the key does not belong to the certificate in {}", certificate.display());
            refused(key, message, "replace both files together")
        }
        rustls::Error::InvalidCertificate(error) => {
            refused(certificate, format!("the certificate cannot be used: {error}"), "have a new one made")
        }
        error => refused(key, format!("the key cannot be used: {error}"), "take an ECDSA, Ed25519 or RSA key"),
    })
}

/// A certificate for these names that nobody vouches for.
fn make(names: &[String]) -> Result<CertifiedKey, Box<Diagnostic>> {
    let refused = |error: String| {
        Box::new(
            Diagnostic::error(Path::new(""), format!("no certificate can be made: {error}")).field("tls.selfSigned"),
        )
    };
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| refused(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    CertifiedKey::from_der(vec![made.cert.der().clone()], key, &default_provider())
        .map_err(|error| refused(error.to_string()))
}
