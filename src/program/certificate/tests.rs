//! Tests of certificates: files that change, and what is said of those that are of no use.

use super::*;
use std::{fs, path::PathBuf};

struct Files {
    _directory: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

/// A certificate and its key, in PEM.
fn pair(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

impl Files {
    fn new() -> Files {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
        let files = Files { _directory: directory, certificate, key };
        let (certificate, key) = pair("dns.test");
        files.write(&certificate, &key);
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    fn source(&self) -> CertificateSource {
        CertificateSource::Files { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

#[test]
fn new_files_are_taken_and_broken_ones_are_not() {
    let files = Files::new();
    let mut certificate = Certificate::open(&files.source()).unwrap();
    let first = certificate.pin();
    assert_eq!(first.len(), 44);
    assert!(certificate.refresh().is_none());

    let (new, new_key) = pair("dns.test");
    fs::write(&files.certificate, &new).unwrap();
    let wrong = certificate.refresh().unwrap();
    assert_eq!((wrong.file.as_path(), wrong.kept.as_str()), (files.key.as_path(), KEPT));
    assert!(wrong.message.contains("does not belong"), "{wrong}");
    // Said once, and true as long as it holds.
    assert!(certificate.refresh().is_none());
    assert_eq!(certificate.wrong(), Some(&wrong));
    assert_eq!(certificate.pin(), first);

    fs::write(&files.key, &new_key).unwrap();
    assert!(certificate.refresh().is_none());
    assert!(certificate.wrong().is_none());
    let second = certificate.pin();
    assert_ne!(second, first);

    fs::remove_file(&files.certificate).unwrap();
    assert!(certificate.refresh().unwrap().message.contains("cannot be read"));
    assert!(certificate.refresh().is_none());
    // The same file comes back.
    fs::write(&files.certificate, &new).unwrap();
    assert!(certificate.refresh().is_none());
    assert!(certificate.wrong().is_none());
    assert_eq!(certificate.pin(), second);
}

#[test]
fn what_is_wrong_with_files() {
    let (good, good_key) = pair("a.test");
    let (other, _) = pair("b.test");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    // certificate, key, which file is named, what is said
    let rows = [
        ("", good_key.as_str(), "tls.crt", "no certificate"),
        (good_key.as_str(), good_key.as_str(), "tls.crt", "no certificate"),
        (good.as_str(), "", "tls.key", "no private key"),
        (good.as_str(), good.as_str(), "tls.key", "no private key"),
        (good.as_str(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "tls.key", "cannot be used"),
        ("-----BEGIN CERTIFICATE-----\n!\n", good_key.as_str(), "tls.crt", "not PEM"),
        (broken, good_key.as_str(), "tls.crt", "cannot be used"),
        (other.as_str(), good_key.as_str(), "tls.key", "does not belong"),
    ];
    let files = Files::new();
    for (certificate, key, file, message) in rows {
        files.write(certificate, key);
        let wrong = Certificate::open(&files.source()).unwrap_err();
        assert!(wrong.file.ends_with(file) && wrong.message.contains(message), "{message}: {wrong}");
        assert!(!wrong.help.is_empty(), "{wrong}");
    }
    // Both in one file is fine.
    let both = format!("{good}{good_key}");
    files.write(&both, &both);
    Certificate::open(&files.source()).unwrap();
}

#[test]
fn one_that_is_made_here() {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut certificate = Certificate::open(&CertificateSource::SelfSigned(names.to_vec())).unwrap();
    assert_eq!(certificate.pin().len(), 44);
    assert!(certificate.refresh().is_none());
}
