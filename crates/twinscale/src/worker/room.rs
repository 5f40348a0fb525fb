//! How much more may be received. Room = CONCURRENCY + PREFETCH − held; what a receive under way asks for is taken. What
//! is held ahead of the handlers may follow how they fare ([`Ahead`]). Bytes are bounded too: those of the bodies in hand,
//! and for what a receive under way may bring, the largest body that came lately. There is no room while settles fail.
//!
//! A receive costs the same for one message as for ten, so it waits for room for ten, but not for long: both are
//! settings (`RECEIVE_MIN_ROOM`, `RECEIVE_LINGER_MS`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::ahead::Ahead;
use crate::queue::MAX_ENTRIES;

/// The largest message that came counts for so much less with each further receive.
const FORGET: usize = 32;

#[derive(Debug)]
pub(super) struct Room {
    state: Mutex<RoomState>,
    freed: Notify,
    enough: usize,
    linger: Duration,
}

#[derive(Debug)]
struct RoomState {
    /// All places, held or free.
    capacity: isize,
    /// Less than nothing after the room was made smaller than what is held.
    free: isize,
    /// Since when there has been room, but not enough.
    since: Option<Instant>,
    ahead: Option<Ahead>,
    /// Of bodies in hand.
    bytes: usize,
    most_bytes: usize,
    /// Places that receives under way ask for.
    asked: usize,
    /// Bytes of the largest message that came lately.
    largest: usize,
    paused: bool,
}

impl Room {
    /// All of `capacity` is free, and what `ahead` comes to. A receive asks when `enough` is, or all of a smaller room, or
    /// after `linger` for what there is.
    pub(super) fn new(
        capacity: usize,
        ahead: Option<Ahead>,
        enough: usize,
        linger: Duration,
        most_bytes: usize,
    ) -> Self {
        let free = capacity as isize;
        let since = None;
        let bytes = 0;
        let asked = 0;
        let largest = 0;
        let paused = false;
        let state = RoomState { capacity: free, free, since, ahead, bytes, most_bytes, asked, largest, paused };
        let state = Mutex::new(state);
        Self { state, freed: Notify::new(), enough, linger }
    }

    /// Waits for room and takes up to ten places. May be dropped at any time: nothing is taken before it returns.
    pub(super) async fn take(&self) -> usize {
        loop {
            let linger_ends = match self.try_take() {
                Ok(taken) => return taken,
                Err(linger_ends) => linger_ends,
            };
            match linger_ends {
                None => self.freed.notified().await,
                Some(end) => tokio::select! {
                    () = self.freed.notified() => (),
                    () = sleep_until(end) => (),
                },
            }
        }
    }

    fn try_take(&self) -> Result<usize, Option<Instant>> {
        let mut state = self.state();
        let free = usize::try_from(state.free).unwrap_or_default().min(state.fits());
        if free == 0 {
            return Err(None);
        }
        if state.free < self.enough(&state) {
            let now = Instant::now();
            let ends = *state.since.get_or_insert(now) + self.linger;
            if now < ends {
                return Err(Some(ends));
            }
        }
        let taken = free.min(MAX_ENTRIES);
        state.asked += taken;
        state.free -= taken as isize;
        state.since = None;
        Ok(taken)
    }

    /// A receive that asked for this many has ended, and brought messages of these sizes.
    pub(super) fn brought(&self, asked: usize, sizes: impl Iterator<Item = usize>) {
        self.update(|state| {
            state.asked = state.asked.saturating_sub(asked);
            state.largest -= state.largest / FORGET;
            for size in sizes {
                state.bytes += size;
                state.largest = state.largest.max(size);
            }
        });
    }

    /// So many bytes are held no more.
    pub(super) fn dropped(&self, bytes: usize) {
        if bytes > 0 {
            self.update(|state| state.bytes = state.bytes.saturating_sub(bytes));
        }
    }

    /// While settles fail, nothing more is received.
    pub(super) fn pause(&self, paused: bool) {
        self.update(|state| state.paused = paused);
    }

    /// Gives places back. Wakes the receiver only where that changes what it can do.
    pub(super) fn free(&self, places: usize) {
        self.update(|state| state.free += places as isize);
    }

    /// Makes the room larger or smaller; what is held stays.
    pub(super) fn change(&self, places: isize) {
        self.update(|state| state.change(places));
    }

    /// A receive that took so long brought all that it asked for.
    pub(super) fn received(&self, time: Duration) {
        self.update(|state| {
            let places = state.ahead.as_mut().map_or(0, |ahead| ahead.received(time));
            state.change(places);
        });
    }

    /// So many handlers ended, which took `time` in all.
    pub(super) fn handled(&self, count: usize, time: Duration) {
        self.update(|state| {
            let places = state.ahead.as_mut().map_or(0, |ahead| ahead.handled(count, time));
            state.change(places);
        });
    }

    fn update(&self, update: impl FnOnce(&mut RoomState)) {
        let mut state = self.state();
        let free = |state: &RoomState| state.free.min(state.fits() as isize);
        let before = (free(&state), self.enough(&state));
        update(&mut state);
        let now = (free(&state), self.enough(&state));
        if now.0 > 0 && (before.0 <= 0 || (before.0 < before.1 && now.0 >= now.1)) {
            self.freed.notify_one();
        }
    }

    /// Never more than there is: a room that was made small would wait for the linger each time.
    fn enough(&self, state: &RoomState) -> isize {
        (self.enough as isize).min(state.capacity).max(1)
    }

    fn state(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomState {
    /// Messages of the largest size that there is memory for. One alone is always let in: it has to be handled some day.
    fn fits(&self) -> usize {
        if self.paused {
            return 0;
        }
        if self.largest == 0 {
            return usize::MAX >> 1;
        }
        let left = self.most_bytes.saturating_sub(self.bytes) / self.largest;
        left.saturating_sub(self.asked).max(usize::from(self.bytes == 0 && self.asked == 0))
    }

    fn change(&mut self, places: isize) {
        self.capacity += places;
        self.free += places;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(100);
    const PLENTY: usize = usize::MAX >> 8;

    #[tokio::test(start_paused = true)]
    async fn bytes_bound_what_is_received_and_one_message_is_always_let_in() {
        let room = Room::new(100, None, 1, LINGER, 10_000);
        assert_eq!(room.take().await, 10, "nothing is known of sizes yet");
        room.brought(10, [2_000; 3].into_iter());
        assert_eq!(room.take().await, 2, "four of ten thousand bytes are left");
        room.brought(2, [2_000; 2].into_iter());
        assert!(tokio::time::timeout(LINGER * 2, room.take()).await.is_err(), "it is full, though there are places");
        room.dropped(4_000);
        assert_eq!(room.take().await, 2);
        room.brought(2, std::iter::empty());
        room.dropped(6_000);
        room.brought(0, [50_000].into_iter());
        room.dropped(50_000);
        assert_eq!(room.take().await, 1, "larger than all there is room for, and alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_room_has_no_place_until_it_goes_on() {
        let room = Room::new(10, None, 10, LINGER, PLENTY);
        room.pause(true);
        assert!(tokio::time::timeout(LINGER * 2, room.take()).await.is_err());
        room.pause(false);
        assert_eq!(room.take().await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receive_asks_at_once_when_there_is_room_for_ten() {
        let room = Room::new(25, None, 10, LINGER, PLENTY);
        let began = Instant::now();
        assert_eq!((room.take().await, room.take().await), (10, 10));
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(room.take().await, 5);
        assert_eq!(began.elapsed(), LINGER, "five places are not enough before the linger is over");
    }

    #[tokio::test(start_paused = true)]
    async fn the_linger_counts_from_the_first_free_place_even_if_the_asking_starts_anew() {
        let room = Room::new(10, None, 10, LINGER, PLENTY);
        let began = Instant::now();
        room.take().await;
        room.free(1);
        for _ in 0..5 {
            let ask = tokio::time::timeout(LINGER / 5, room.take()).await;
            if let Ok(taken) = ask {
                assert_eq!(taken, 1);
                break;
            }
        }
        assert_eq!(began.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn with_an_endless_linger_it_asks_again_only_when_all_ten_are_done() {
        let room = Room::new(10, None, 10, Duration::from_secs(3600), PLENTY);
        assert_eq!(room.take().await, 10);
        room.free(9);
        assert!(tokio::time::timeout(Duration::from_secs(3000), room.take()).await.is_err());
        room.free(1);
        assert_eq!(room.take().await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_made_smaller_than_what_is_held_has_none_until_enough_is_given_back() {
        let room = Room::new(10, None, 1, LINGER, PLENTY);
        room.take().await;
        room.change(-4);
        room.free(4);
        assert!(tokio::time::timeout(LINGER * 2, room.take()).await.is_err());
        room.free(2);
        assert_eq!(room.take().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_made_smaller_than_ten_asks_at_once_when_all_of_it_is_free() {
        let room = Room::new(40, None, 10, LINGER, PLENTY);
        let began = Instant::now();
        room.change(-38);
        assert_eq!(room.take().await, 2);
        room.free(2);
        assert_eq!(room.take().await, 2);
        assert_eq!(began.elapsed(), Duration::ZERO);
        room.free(1);
        assert_eq!(room.take().await, 1);
        assert_eq!(began.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn quick_handlers_make_room_for_more_and_a_small_room_asks_for_all_of_it() {
        let room = Room::new(2, Some(Ahead::new(2)), 10, LINGER, PLENTY);
        assert_eq!(room.take().await, 2, "there is no room for ten");
        room.received(LINGER);
        room.handled(2, LINGER / 2);
        room.free(2);
        assert_eq!(room.take().await, 10, "eight are handled while a receive is under way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_receive_wakes_when_places_come_back() {
        let room = std::sync::Arc::new(Room::new(10, None, 10, LINGER, PLENTY));
        room.take().await;
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.take().await }
        });
        tokio::task::yield_now().await;
        (0..10).for_each(|_| room.free(1));
        assert_eq!(waiting.await.expect("it returns"), 10);
    }
}
