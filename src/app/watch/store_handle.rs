//! Keeps the store away from the loops: a disk may take a while, and so may another program that holds the
//! file.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use crate::adapters::store::{Reader, Store};

/// Works with the store on threads that may wait.
#[derive(Debug, Clone)]
pub(crate) struct StoreHandle {
    store: Arc<Mutex<Store>>,
    reader: Reader,
}

impl StoreHandle {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            reader: store.reader(),
            store: Arc::new(Mutex::new(store)),
        }
    }

    /// Reads, without waiting for what is being written, on a thread that may wait.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Does something with the store, one after another, and waits until it is done.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> T {
        done(self.spawn(work)).await
    }

    /// Starts to do something with the store.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            // Every change is whole or not at all, also where somebody panicked.
            work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Reads, and waits until that is done.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> T {
        let reader = self.reader.clone();
        done(tokio::task::spawn_blocking(move || work(&reader))).await
    }
}

async fn done<T>(work: JoinHandle<T>) -> T {
    let done = work.await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
