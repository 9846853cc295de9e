//! Settings of the Kubernetes API: where it is served, and what protects it there.

use super::Settings;
use crate::text::diagnostic::Diagnostic;

/// What is wrong once file, environment and flags are put together: whoever reaches the API may change everything, so
/// beyond loopback it takes a token, and a token takes TLS.
pub(super) fn unprotected(settings: &Settings) -> Option<Diagnostic> {
    let address = settings.api_listen?;
    let file = settings.file.clone().unwrap_or_default();
    match (&settings.api_token_file, &settings.tls) {
        (None, _) if !address.ip().is_loopback() => {
            let message = format!("{address} can be reached from other machines, and nothing protects the API there");
            let help = "serve it on 127.0.0.1, or name a file with a token in apiTokenFile and a certificate in tls; it \
                        is served over HTTPS then";
            Some(Diagnostic::error(&file, message).field("apiListen").help(help))
        }
        (Some(_), None) => {
            let message = "a token would be sent in the clear without a certificate".to_owned();
            let help = "name files with `tls: {certificate: FILE, key: FILE}`, or for a demo write `tls: {selfSigned: \
                        [localhost, 127.0.0.1]}` into the settings file";
            Some(Diagnostic::error(&file, message).field("tls").help(help))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::certificate::CertificateSource;

    #[test]
    fn what_protects_the_api() {
        for (address, token, certificate, wrong) in [
            ("127.0.0.1:8001", false, false, None),
            ("[::1]:8001", false, false, None),
            ("0.0.0.0:8001", false, true, Some("apiListen")),
            ("192.0.2.1:8001", false, false, Some("apiListen")),
            ("192.0.2.1:8001", true, false, Some("tls")),
            ("127.0.0.1:8001", true, false, Some("tls")),
            ("192.0.2.1:8001", true, true, None),
        ] {
            let mut settings = Settings::defaults();
            settings.api_listen = Some(address.parse().unwrap());
            settings.api_token_file = token.then(|| "token".into());
            settings.tls = certificate.then(|| CertificateSource::SelfSigned(Vec::new()));
            let found = unprotected(&settings).map(|diagnostic| diagnostic.field);
            assert_eq!(found.as_deref(), wrong, "{address} {token} {certificate}");
        }
        assert!(unprotected(&Settings::defaults()).is_none());
    }
}
