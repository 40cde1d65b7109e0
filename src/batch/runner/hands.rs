//! The items in hand: how many there may be, what becomes of those that come back.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Runner;
use crate::batch::{
    item::{End, Open, far},
    pause::Pauses,
    send_order::{Course, Gone},
};

/// Items in hand at once.
pub(super) const IN_HAND: usize = 8;

/// So many items in a row in trouble of their own are in trouble of all.
const STORM: u32 = 3;

/// A ringing call is looked at again after this time.
const LATER: Duration = Duration::from_secs(10);

/// An item that left our hands.
pub(super) struct Back {
    pub(super) open: Open,
    pub(super) end: End,
    /// Whether it could have come back until now.
    pub(super) course: Arc<Course>,
}

impl Runner {
    pub(super) fn has_a_hand_free(&mut self) -> bool {
        if self.careful {
            self.tasks.len() <= self.gone.borrow_and_update().taken
        } else {
            self.tasks.len() < IN_HAND
        }
    }

    /// How many of those in hand may come back.
    pub(super) fn may_come_back(&mut self) -> usize {
        let Gone { taken, unclear } = *self.gone.borrow_and_update();
        self.tasks.len().saturating_sub(taken + unclear)
    }

    pub(super) fn take_back_all(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.take_back(ended);
        }
    }

    pub(super) fn take_back(&mut self, ended: Result<Back, tokio::task::JoinError>) {
        let Back { mut open, end, course } = match ended {
            Ok(back) => back,
            Err(error) => {
                tracing::error!(batch_id = %self.batch.id, %error, "an item's task ended badly");
                self.lost = true;
                return;
            }
        };
        drop(course);
        match end {
            End::Taken => return self.one_got_through(),
            End::GivenUp => return,
            End::Unclear(trouble) => {
                self.pause_for(&trouble);
                self.strike();
                return;
            }
            End::Later => open.not_before = Some(Instant::now() + LATER),
            End::Halted => self.halted = true,
            End::Trouble(trouble) if trouble.own => {
                if self.strike() {
                    self.halted = true;
                    self.pause_for(&trouble);
                }
            }
            End::Trouble(trouble) => {
                self.halted = true;
                self.pause_for(&trouble);
            }
            End::Stopped => self.doubted = true,
        }
        self.open.insert(open.item.position, open);
    }

    /// One more was in trouble of its own, or lost sight of. Whether it is a storm.
    pub(super) fn strike(&mut self) -> bool {
        self.struck = self.struck.saturating_add(1);
        self.careful |= self.struck >= STORM;
        self.careful
    }

    pub(super) fn one_got_through(&mut self) {
        self.pauses = Pauses::default();
        self.struck = 0;
        if std::mem::take(&mut self.careful) {
            self.open.values_mut().for_each(|open| open.aside = None);
        }
    }

    pub(super) async fn wait_for_all_who_may_come_back(&mut self) {
        while self.may_come_back() > 0 {
            tokio::select! {
                ended = self.tasks.join_next() => {
                    if let Some(ended) = ended {
                        self.take_back(ended);
                    }
                }
                _ = self.gone.changed() => {}
            }
        }
    }

    pub(super) async fn finish_what_is_in_hand(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            self.take_back(ended);
        }
    }

    /// Waits until one in hand is back or gone, or until then.
    pub(super) async fn wait_for_one(&mut self, until: Option<Instant>) {
        tokio::select! {
            ended = self.tasks.join_next() => {
                if let Some(ended) = ended {
                    self.take_back(ended);
                }
            }
            _ = self.gone.changed() => {}
            () = self.news.notified() => {
                self.check_the_record().await;
            }
            () = tokio::time::sleep_until(until.unwrap_or_else(far)) => {}
            () = self.transfers.completion.stop.cancelled() => {}
        }
    }
}
