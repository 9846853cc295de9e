//! The end of what a container wrote.

use super::{HttpEngine, connection::decoded, json};
use crate::engine::{
    sandbox::{ContainerId, EngineError, LogFrame},
    unix_http::{Frames, HttpRequest},
};
use crate::text::percent;
use hyper::Method;
use std::collections::VecDeque;

/// The last `lines`, of them the last `octets`.
pub(super) async fn tail(
    engine: &HttpEngine,
    id: &ContainerId,
    lines: usize,
    octets: usize,
) -> Result<Vec<LogFrame>, EngineError> {
    let path = format!("/containers/{}", percent::encode(&id.0));
    // Of a terminal there are no frames.
    let found = decoded(&engine.call(Method::GET, &format!("{path}/json"), None).await?)?;
    let mut frames = Frames::new(json::flag(&found, "/Config/Tty"));
    let request = HttpRequest::new(Method::GET, format!("{path}/logs?stdout=true&stderr=true&tail={lines}"));
    let mut stream = engine.open(request).await?.body;
    let mut end = Tail { frames: VecDeque::new(), octets: 0, limit: octets };
    while let Some(piece) = stream.piece().await? {
        for frame in frames.take(&piece)? {
            end.push(frame);
        }
    }
    Ok(end.frames.into())
}

/// The last octets of what was pushed.
struct Tail {
    frames: VecDeque<LogFrame>,
    octets: usize,
    limit: usize,
}

impl Tail {
    fn push(&mut self, frame: LogFrame) {
        self.octets += octets(&frame).len();
        self.frames.push_back(frame);
        while let Some(excess) = self.octets.checked_sub(self.limit).filter(|excess| *excess > 0) {
            let Some(LogFrame::Output(first) | LogFrame::Error(first)) = self.frames.front_mut() else { return };
            let cut = excess.min(first.len());
            first.drain(..cut);
            self.octets -= cut;
            if first.is_empty() {
                self.frames.pop_front();
            }
        }
    }
}

fn octets(frame: &LogFrame) -> &[u8] {
    let (LogFrame::Output(octets) | LogFrame::Error(octets)) = frame;
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let rows: [(&[&str], usize, &str); 6] = [
            (&["abc", "def"], 10, "abc|def"),
            (&["abc", "def"], 6, "abc|def"),
            (&["abc", "def"], 4, "c|def"),
            (&["abc", "def"], 3, "def"),
            (&["abcdef"], 2, "ef"),
            (&["abc", "", "d"], 0, ""),
        ];
        for (pushed, limit, expected) in rows {
            let mut tail = Tail { frames: VecDeque::new(), octets: 0, limit };
            for text in pushed {
                tail.push(LogFrame::Output(text.as_bytes().to_vec()));
            }
            let found: Vec<_> = tail.frames.iter().map(|frame| String::from_utf8_lossy(octets(frame))).collect();
            assert_eq!(found.join("|"), expected, "{pushed:?} {limit}");
        }
    }
}
