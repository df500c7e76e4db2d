//! Doing what the core decided: one exhaustive match, and nothing is decided here.

use relevo_core::{Action, Event, Notify};

use super::history::Culprit;
use super::{Primary, status};

impl Primary {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, slot, generation } => self.spawn(worker, slot, generation),
            Action::LookAtMemory => {
                let memory = self.look_at_memory();
                self.events.push_back(Event::MemorySeen { memory });
            }
            Action::ChangeSlot { worker, slot } => {
                self.output.change_slot(worker, slot);
                self.hub.change_slot(worker, slot);
            }
            Action::SignalStop { worker } => {
                self.processes.signal_stop(worker, self.reading.stop_signal());
            }
            Action::Kill { worker } => self.processes.kill_group(worker),
            Action::OpenMember { member, wish } => self.hub.open_member(member, wish),
            Action::CloseMember { member } => self.hub.close_member(member),
            Action::Answer { worker, query, member, given } => {
                self.hub.answer(worker, query, member, given);
            }
            Action::Refuse { worker, query, errno } => self.hub.refuse(worker, query, errno),
            Action::Probe { worker, listener } => self.probe(worker, listener),
            Action::InspectSockets { worker } => {
                let unprotected = self.inspect_sockets(worker);
                self.events.push_back(Event::SocketsInspected { worker, unprotected });
            }
            Action::Accept { member, on } => self.hub.accept(member, on),
            Action::Eligible { worker, slot, generation, listener, on } => {
                self.hub.eligible(worker, slot, generation, listener, on);
            }
            Action::MeasureMemory { worker } => {
                let measured = self.processes.memory(worker);
                self.events
                    .extend(measured.map(|rss_bytes| Event::MemoryMeasured { worker, rss_bytes }));
            }
            Action::Ping { worker } => self.hub.ping(worker),
            Action::WatchSockets => self.hub.watch_sockets(),
            Action::Examine { worker, slot } => self.examine(worker, slot),
            Action::LimitRequests { worker, requests } => {
                self.hub.limit_requests(worker, requests);
            }
            Action::LameDuck { worker } => self.hub.lame_duck(worker),
            Action::EmptyQueues => self.hub.empty_queues(),
            Action::Tally { worker, on } => self.hub.tally(worker, on),
            Action::Share { slot, percent } => self.hub.share(slot, percent),
            Action::Park { worker } => self.hub.park(worker),
            Action::Unpark { worker } => self.hub.unpark(worker),
            Action::Drain { worker, within, hand_over } => {
                self.hub.drain(worker, within, hand_over);
            }
            Action::Disconnect { worker } => self.hub.disconnect(worker),
            Action::AllowLeave { worker } => self.hub.allow_leave(worker),
            Action::RunHook { hook, kind, facts } => self.run_hook(hook, kind, &facts),
            Action::EndHook { hook } => self.hooks.kill(hook),
            Action::Progress { request, progress } => self.control.progress(request, progress),
            Action::Reply { request, answer } => {
                let words = Culprit::of_answer(&answer).map(|culprit| self.last_words(culprit));
                self.control.reply(request, &answer, words.unwrap_or_default());
            }
            Action::Notify(notify) => self.notify(notify),
            Action::Tell(notice) => {
                self.follow_rollout(&notice);
                if !self.note_trial(&notice) {
                    self.tell(&notice);
                }
            }
            Action::Exit { code } => self.exit = Some(code),
        }
    }

    fn notify(&self, notify: Notify) {
        let summary = status::summary(&self.supervisor.view());
        match notify {
            Notify::Ready => self.notifier.ready(&summary),
            Notify::Reloading => self.notifier.reloading(&summary),
            Notify::Stopping => self.notifier.stopping(),
        }
    }
}
