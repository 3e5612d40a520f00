//! Where everything comes together that the agents of this replica say, and goes on to whoever decides.

use std::collections::BTreeMap;

use sluice_distribute::{AgentEvent, AgentEventKind};
use sluice_proto::v1::Hello;
use tokio::sync::{mpsc, watch};

/// Whoever decides listens here, if anybody does.
type Ear = Option<mpsc::Sender<AgentEvent>>;

/// Gives what agents say to the ear of the moment.
#[derive(Clone)]
pub struct Desk {
    ear: watch::Sender<Ear>,
}

impl Desk {
    /// Takes what the agents of this replica say from now on; `again` tells their streams to have it said again.
    pub fn open(said: mpsc::Receiver<AgentEvent>, again: watch::Sender<u64>) -> Desk {
        let (ear, listened) = watch::channel(None);
        let clerk = Clerk { said, ear: listened, again, streams: BTreeMap::new() };
        tokio::spawn(clerk.run());
        Desk { ear }
    }

    /// From now on it all goes to `ear`: first every open stream, then what their agents say again and anew.
    pub fn listen(&self, ear: mpsc::Sender<AgentEvent>) -> Listening<'_> {
        self.ear.send_replace(Some(ear));
        Listening(&self.ear)
    }
}

/// Nobody listens any more once it is dropped.
pub struct Listening<'a>(&'a watch::Sender<Ear>);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

struct Clerk {
    said: mpsc::Receiver<AgentEvent>,
    ear: watch::Receiver<Ear>,
    again: watch::Sender<u64>,
    /// The newest stream of each node, and how it began.
    streams: BTreeMap<String, (u64, Box<Hello>)>,
}

impl Clerk {
    async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                changed = self.ear.changed() => match changed {
                    Ok(()) => self.tell_all().await,
                    Err(_) => return,
                },
                said = self.said.recv() => {
                    let Some(event) = said else { return };
                    self.note(&event);
                    self.tell(event).await;
                }
            }
        }
    }

    fn note(&mut self, event: &AgentEvent) {
        match &event.kind {
            AgentEventKind::Connected(hello) => {
                // A stream that had to wait is told of after the one that took its place.
                if self.streams.get(&event.node).is_none_or(|(newest, _)| *newest < event.session) {
                    self.streams.insert(event.node.clone(), (event.session, hello.clone()));
                }
            }
            AgentEventKind::Disconnected => {
                // A restarted agent may be back before its old stream is seen to end.
                if self.streams.get(&event.node).is_some_and(|(session, _)| *session == event.session) {
                    self.streams.remove(&event.node);
                }
            }
            AgentEventKind::Ahead { .. } | AgentEventKind::Verdicts(_) | AgentEventKind::Report(_) => {}
        }
    }

    /// A new ear has heard nothing yet.
    async fn tell_all(&mut self) {
        if self.ear.borrow_and_update().is_none() {
            return;
        }
        let streams: Vec<_> =
            self.streams.iter().map(|(node, stream)| (node.clone(), stream.clone())).collect();
        for (node, (session, hello)) in streams {
            self.tell(AgentEvent { node, session, kind: AgentEventKind::Connected(hello) }).await;
        }
        self.again.send_modify(|times| *times += 1);
    }

    /// A slow ear slows the streams down instead of growing a queue; an ear that is gone loses nothing that its successor
    /// is not told.
    async fn tell(&mut self, event: AgentEvent) {
        let Some(ear) = self.ear.borrow().clone() else { return };
        tokio::select! {
            biased;
            _ = ear.send(event) => {}
            // The change is seen to in `run`: it must be noticed there again.
            _ = self.ear.changed() => self.ear.mark_changed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_proto::v1::Verdicts;

    use super::*;

    fn event(node: &str, session: u64, kind: AgentEventKind) -> AgentEvent {
        AgentEvent { node: node.to_owned(), session, kind }
    }

    fn connected(node: &str, session: u64) -> AgentEvent {
        event(node, session, AgentEventKind::Connected(Box::default()))
    }

    #[tokio::test]
    async fn a_new_ear_hears_of_every_open_stream_and_all_is_said_again() {
        let (say, said) = mpsc::channel(8);
        let (again, mut asked) = watch::channel(0);
        let desk = Desk::open(said, again);
        say.send(connected("a", 1)).await.unwrap();
        say.send(connected("b", 2)).await.unwrap();
        say.send(connected("a", 3)).await.unwrap();
        // An older stream that is told of late, and the late ends of older streams.
        say.send(connected("a", 2)).await.unwrap();
        say.send(event("a", 2, AgentEventKind::Disconnected)).await.unwrap();
        say.send(event("a", 1, AgentEventKind::Disconnected)).await.unwrap();
        say.send(event("b", 2, AgentEventKind::Disconnected)).await.unwrap();
        say.send(connected("c", 4)).await.unwrap();
        let (ear, mut heard) = mpsc::channel(1);
        // All of it was said before anybody listened.
        while say.capacity() < 8 {
            tokio::task::yield_now().await;
        }
        let listening = desk.listen(ear);
        assert_eq!(heard.recv().await.unwrap(), connected("a", 3));
        assert_eq!(heard.recv().await.unwrap(), connected("c", 4));
        asked.changed().await.unwrap();
        let word = event("c", 4, AgentEventKind::Verdicts(Verdicts::default()));
        say.send(word.clone()).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), word);
        drop(listening);
        assert_eq!(heard.recv().await, None);
    }

    #[tokio::test]
    async fn an_ear_that_hears_nothing_more_holds_up_nobody_once_another_listens() {
        let (say, said) = mpsc::channel(1);
        let desk = Desk::open(said, watch::Sender::default());
        let (deaf, _unread) = mpsc::channel(1);
        let first = desk.listen(deaf);
        for session in 1..=3 {
            say.send(connected("a", session)).await.unwrap();
        }
        let (ear, mut heard) = mpsc::channel(8);
        std::mem::forget(first);
        let _listening = desk.listen(ear);
        loop {
            if heard.recv().await.unwrap() == connected("a", 3) {
                return;
            }
        }
    }
}
