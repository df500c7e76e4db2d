//! The keys by which TLS sessions can be resumed, with any worker of any generation.
//!
//! They are made here, never by a worker, and change every 12 hours: whoever learns one can read what
//! was sent in sessions that it was used for (RFC 5077, 5.5). Node knows one set at a time
//! (`tls.Server#setTicketKeys`), so that a session from before the change is begun anew once.

use std::fmt::Write;
use std::time::Duration;

use relevo_core::Time;
use relevo_node::{RawValue, TicketKeys, ToAgent};
use relevo_sys::random::random_bytes;

use super::Hub;

/// How long one set of keys is used.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// What Node takes (`tls.Server#setTicketKeys`).
const KEY_BYTES: usize = 48;

/// The keys, once a TLS server has asked for some.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    keys: Option<TicketKeys>,
    change_at: Option<Time>,
}

impl Tickets {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.change_at
    }

    /// What a TLS server is answered; nothing if no keys can be made.
    fn data(&mut self, now: Time) -> Option<Box<RawValue>> {
        if self.keys.is_none() {
            self.change(now);
        }
        let keys = self.keys.as_ref()?.secret();
        RawValue::from_string(format!(r#"{{"ticketKeys":"{keys}"}}"#)).ok()
    }

    fn change(&mut self, now: Time) {
        self.change_at = Some(now + LIFETIME);
        let mut bytes = [0; KEY_BYTES];
        if random_bytes(&mut bytes).is_err() {
            return; // the kernel has none, so early after its start: the old ones stay
        }
        let hex = bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        self.keys = Some(TicketKeys::new(hex));
    }
}

impl Hub {
    /// What a worker is answered that asks to listen: TLS servers die without ticket keys.
    pub(super) fn ticket_data(&mut self, own: Option<&RawValue>) -> Option<Box<RawValue>> {
        let own = own.filter(|own| own.get() != "null")?;
        if !own.get().contains("\"ticketKeys\"") {
            return Some(own.to_owned()); // no data that Node is known to send
        }
        self.tickets.data(self.now).or_else(|| Some(own.to_owned()))
    }

    pub(super) fn change_tickets(&mut self) {
        if self.tickets.change_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.tickets.change(self.now);
        let Some(keys) = self.tickets.keys.clone() else { return };
        for worker in self.wires.keys().copied().collect::<Vec<_>>() {
            if let Some(wire) = self.talk_to(worker) {
                wire.channel.tell_agent(ToAgent::Tickets { keys: keys.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_for_half_a_day_and_never_shown() {
        let mut tickets = Tickets::default();
        assert_eq!(tickets.deadline(), None);
        let now = Time::default();
        let first = tickets.data(now).expect("a machine with random numbers");
        let expected = r#"{"ticketKeys":""#.len() + 2 * KEY_BYTES + 2;
        assert_eq!(first.get().len(), expected, "{first}");
        let same = tickets.data(now + Duration::from_secs(1));
        assert_eq!(same.map(|data| data.get().to_owned()), Some(first.get().to_owned()));
        assert_eq!(tickets.deadline(), Some(now + LIFETIME));
        let shown = format!("{tickets:?}");
        assert!(!shown.contains(&first.get()[16..40]), "{shown}");
        tickets.change(now + LIFETIME);
        let other = tickets.data(now + LIFETIME).expect("the same machine");
        assert_ne!(other.get(), first.get());
    }
}
