//! The secrets of DNS Cookies: read from a file that several servers share, or made here and changed each day.

use crate::{
    dns::wire::cookie::{Cookies, Secret},
    program::settings::{DnsCookies, read_cookie_secrets},
};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// For how long a secret made here is used (RFC 7873 §7.1 has a day).
const SECRET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// For how long the one before it is accepted: as long as its last cookie is good.
const OLD_SECRET_LIFETIME: Duration = Duration::from_secs(3600);

/// Who sees to the secrets.
#[derive(Debug)]
pub(super) struct CookieSecrets {
    cookies: Arc<Cookies>,
    /// `None` for secrets made here.
    file: Option<PathBuf>,
    /// When the present one was made.
    made: Instant,
    /// What was said to be wrong with the file.
    wrong: Option<String>,
}

impl CookieSecrets {
    /// Reads or makes them.
    pub(super) fn new(settings: &DnsCookies) -> io::Result<CookieSecrets> {
        let secrets = match &settings.secret_file {
            Some(path) => read_cookie_secrets(path)
                .map_err(|message| io::Error::other(format!("secretFile {}: {message}", path.display())))?,
            None => vec![random()?],
        };
        let cookies = Arc::new(Cookies::new(secrets, now, settings.required));
        Ok(CookieSecrets { cookies, file: settings.secret_file.clone(), made: Instant::now(), wrong: None })
    }

    /// What they are used by.
    pub(super) fn cookies(&self) -> Arc<Cookies> {
        Arc::clone(&self.cookies)
    }

    /// Takes what the file holds now, or makes a new secret when it is time.
    pub(super) fn refresh(&mut self) {
        match self.file.clone() {
            Some(path) => {
                let wrong = match read_cookie_secrets(&path) {
                    Ok(secrets) => {
                        if secrets != self.cookies.secrets() {
                            tracing::info!(file = %path.display(), "the secrets of cookies have changed");
                            self.cookies.set(secrets);
                        }
                        None
                    }
                    Err(message) => Some(message),
                };
                if let Some(message) = wrong.as_ref().filter(|_| wrong != self.wrong) {
                    tracing::warn!("cookies.secretFile {}: {message}; those in use stay", path.display());
                }
                self.wrong = wrong;
            }
            None => self.rotate(self.made.elapsed()),
        }
    }

    fn rotate(&mut self, age: Duration) {
        let mut secrets = self.cookies.secrets();
        if age >= SECRET_LIFETIME {
            // Without randomness the present one stays; the next look tries again.
            let Ok(secret) = random() else { return };
            secrets.insert(0, secret);
            secrets.truncate(2);
            self.made = Instant::now();
        } else if age >= OLD_SECRET_LIFETIME && secrets.len() > 1 {
            secrets.truncate(1);
        } else {
            return;
        }
        self.cookies.set(secrets);
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn random() -> io::Result<Secret> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| io::Error::other("the system gives no randomness"))?;
    Ok(Secret::new(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::wire::cookie::ShownCookie;

    fn shown(secrets: &CookieSecrets, option: &[u8]) -> (ShownCookie, Vec<u8>) {
        let answered = secrets.cookies.of("192.0.2.1".parse().unwrap()).answer(option).unwrap();
        (answered.shown, answered.cookie.to_vec())
    }

    #[test]
    fn a_cookie_outlives_the_change_of_its_secret_and_then_no_other() {
        let mut secrets = CookieSecrets::new(&DnsCookies::default()).unwrap();
        let (_, cookie) = shown(&secrets, &[1; 8]);
        secrets.rotate(SECRET_LIFETIME - Duration::from_secs(1));
        assert_eq!(shown(&secrets, &cookie), (ShownCookie::Good, cookie.clone()));
        secrets.rotate(SECRET_LIFETIME);
        let (good, renewed) = shown(&secrets, &cookie);
        assert!(good == ShownCookie::Good && renewed != cookie);
        secrets.rotate(OLD_SECRET_LIFETIME);
        assert_eq!(shown(&secrets, &cookie).0, ShownCookie::Bad);
        assert_eq!(shown(&secrets, &renewed).0, ShownCookie::Good);
    }

    /// RFC 9018 §5: the new secret is added, then made first, then the old one removed, on one server after the other.
    #[test]
    fn several_servers_with_one_file_accept_each_others_cookies() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let (old, new) = ("0".repeat(32), "1".repeat(32));
        let write = |lines: &[&String]| {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(&path, text).unwrap();
        };
        write(&[&old]);
        let settings = DnsCookies { secret_file: Some(path.clone()), required: false };
        let mut servers = [CookieSecrets::new(&settings).unwrap(), CookieSecrets::new(&settings).unwrap()];
        let (_, mut cookie) = shown(&servers[0], &[1; 8]);
        for lines in [vec![&old, &new], vec![&new, &old], vec![&new]] {
            write(&lines);
            for first in 0..2 {
                servers[first].refresh();
                for server in &servers {
                    let (good, next) = shown(server, &cookie);
                    assert_eq!(good, ShownCookie::Good);
                    cookie = next;
                }
            }
        }
        // A broken file changes nothing.
        std::fs::write(&path, "x").unwrap();
        servers[0].refresh();
        assert!(servers[0].wrong.is_some());
        assert_eq!(shown(&servers[0], &cookie).0, ShownCookie::Good);
    }
}
