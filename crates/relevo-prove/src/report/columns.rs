//! Which ends of requests a table shows: all that happened, and no empty columns.

use relevo_wire::prove::Outcomes;

/// A column: what stands above it, and what is counted in it.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) count: fn(&Outcomes) -> u64,
    /// Whether a number other than 0 is bad news.
    pub(super) is_loss: bool,
}

/// The columns for requests whose ends are these in all.
pub(super) fn columns(total: &Outcomes) -> Vec<Column> {
    let column = |head, count, is_loss| Column { head, count, is_loss };
    let always = [
        column("requests", |it| it.begun, false),
        column("answered", |it| it.answered, false),
        column("lost", Outcomes::lost, true),
    ];
    let rare = [
        column("wrong", |it| it.wrong, true),
        column("refused", |it| it.refused, true),
        column("reset", |it| it.reset, true),
        column("closed", |it| it.closed, true),
        column("late", |it| it.late, true),
        column("unanswered", |it| it.unanswered, false),
        column("killed", |it| it.killed, false),
        column("repeated", |it| it.repeated, false),
    ];
    let happened = rare.into_iter().filter(|column| (column.count)(total) > 0);
    always.into_iter().chain(happened).collect()
}
