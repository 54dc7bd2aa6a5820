//! Keeps the store away from the loops: writing to a disk may take a while.

use std::sync::{Arc, Mutex, PoisonError};

use crate::adapters::store::Store;

/// Works with the store on threads that may wait.
#[derive(Debug, Clone)]
pub(crate) struct Keeper(Arc<Mutex<Store>>);

impl Keeper {
    pub(crate) fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// Does something with the store, and waits until it is done.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> T {
        let keeper = self.clone();
        let done = tokio::task::spawn_blocking(move || keeper.with_blocking(work)).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The same on a thread that may wait.
    pub(crate) fn with_blocking<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        // Every change is whole or not at all, also where somebody panicked.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
