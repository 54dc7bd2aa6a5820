//! A value that other threads change, and that can be waited for.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::PATIENCE;

#[derive(Default)]
pub(crate) struct Shared<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Shared<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap()
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until this finds something in it; `missed` says what there is where that never comes.
    pub(crate) fn wait_for<R>(
        &self,
        find: impl Fn(&T) -> Option<R>,
        missed: impl Fn(&T) -> String,
    ) -> R {
        let deadline = Instant::now() + PATIENCE;
        let mut value = self.lock();
        loop {
            if let Some(found) = find(&value) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{}", missed(&value));
            value = self.changed.wait_timeout(value, left).unwrap().0;
        }
    }
}
