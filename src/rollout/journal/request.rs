//! What an operator leaves in the journal for whoever drives.

/// What a second operator asks of whoever drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    Approve,
    Pause,
    Resume,
    Abort,
    Rollback,
    Note,
}

impl RequestKind {
    pub const ALL: [RequestKind; 6] = [
        RequestKind::Approve,
        RequestKind::Pause,
        RequestKind::Resume,
        RequestKind::Abort,
        RequestKind::Rollback,
        RequestKind::Note,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            RequestKind::Approve => "approve",
            RequestKind::Pause => "pause",
            RequestKind::Resume => "resume",
            RequestKind::Abort => "abort",
            RequestKind::Rollback => "rollback",
            RequestKind::Note => "note",
        }
    }
}

/// A request that waits for the driver.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: i64,
    pub kind: RequestKind,
    pub by: String,
    /// The reason, the note; for an approval the phase and the plan that it is for, as JSON.
    pub detail: String,
}
