//! A draft that came in pieces.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::control::protocol::{MAX_DRAFT, Problem, ProblemCode, Uploaded};
use crate::control::revisions::Draft;

/// What all clients together may have uploaded, in bytes.
const MAX_ALL: usize = 4 * MAX_DRAFT;

static ALL: AtomicUsize = AtomicUsize::new(0);

/// What one client has uploaded. Its room is given back with it.
#[derive(Debug)]
pub(super) struct Upload {
    text: String,
    /// What all have uploaded that share the room with this one.
    all: &'static AtomicUsize,
}

impl Upload {
    /// Adds a piece behind `at` bytes, or begins anew at 0.
    pub(super) fn add(&mut self, at: usize, piece: &str) -> Result<Uploaded, Problem> {
        if at == 0 {
            self.clear();
        }
        if at != self.text.len() {
            let message = format!("{} bytes of the draft came so far, not {at}", self.text.len());
            return Err(Problem::new(ProblemCode::State, message, "begin again at 0"));
        }
        if at + piece.len() > MAX_DRAFT {
            let message = "the draft is larger than 16 MiB";
            return Err(Problem::new(ProblemCode::Configuration, message, "include other files"));
        }
        if self.all.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MAX_ALL {
            self.all.fetch_sub(piece.len(), Ordering::Relaxed);
            let message = "other clients have uploaded too much";
            return Err(Problem::new(ProblemCode::Busy, message, "try again in a moment"));
        }
        self.text.push_str(piece);
        Ok(Uploaded::new(self.text.len()))
    }

    /// What was uploaded.
    pub(super) fn draft(&self) -> Result<Draft, Problem> {
        if self.text.is_empty() {
            let message = "nothing was uploaded on this connection";
            return Err(Problem::new(ProblemCode::State, message, "upload the draft first"));
        }
        Ok(Draft::Text(self.text.clone()))
    }

    fn clear(&mut self) {
        self.all.fetch_sub(self.text.len(), Ordering::Relaxed);
        self.text = String::new();
    }
}

impl Default for Upload {
    fn default() -> Self {
        Self { text: String::new(), all: &ALL }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_order_make_a_draft_and_others_are_refused() {
        let mut upload = Upload::default();
        assert!(upload.draft().is_err());
        upload.add(0, "primary = ").unwrap();
        assert_eq!(upload.add(3, "x").unwrap_err().code, ProblemCode::State);
        assert_eq!(upload.add(10, "1").unwrap(), Uploaded::new(11));
        assert_eq!(upload.draft(), Ok(Draft::Text("primary = 1".to_owned())));
        upload.add(0, "again").unwrap();
        assert_eq!(upload.draft(), Ok(Draft::Text("again".to_owned())));
    }

    #[test]
    fn no_client_and_not_all_together_take_more_than_their_room() {
        static ROOM: AtomicUsize = AtomicUsize::new(0);
        let upload = || Upload { text: String::new(), all: &ROOM };
        let half = "x".repeat(MAX_DRAFT / 2 + 1);
        let mut one = upload();
        one.add(0, &half).unwrap();
        assert_eq!(one.add(half.len(), &half).unwrap_err().code, ProblemCode::Configuration);
        let mut others = Vec::new();
        let refused = (0..9).find_map(|_| {
            let mut other = upload();
            let added = other.add(0, &half);
            others.push(other);
            added.err()
        });
        assert_eq!(refused.map(|problem| problem.code), Some(ProblemCode::Busy));
        drop(others);
        upload().add(0, &half).unwrap();
    }
}
