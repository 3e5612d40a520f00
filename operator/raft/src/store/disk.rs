//! A disk of memory, as bad as a real one may be: of what was not synced any part may be gone when the power goes off, and it
//! may be full, slow or broken.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand08::Rng;
use redb::{Database, StorageBackend};

use crate::simulated::Drawn;

/// Bytes that are written together or not at all.
const SECTOR: usize = 512;

/// Outlives whoever writes on it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Image>>);

#[derive(Debug, Default)]
struct Image {
    cached: Vec<u8>,
    synced: Vec<u8>,
    /// Written since the last sync, and where.
    unsynced: Vec<(usize, Vec<u8>)>,
    syncs: usize,
    /// Fails for good after so many syncs.
    fails_after: Option<usize>,
    /// Of what each commit takes.
    delay: Duration,
    full: bool,
    opens: u64,
    /// Who has it open. One at a time, as a file's lock has it, and nobody any more once the power went off.
    holder: Option<u64>,
}

/// The disk as one process has it open.
#[derive(Debug)]
struct Open {
    disk: Disk,
    id: u64,
}

impl Disk {
    pub fn is_empty(&self) -> bool {
        self.lock().cached.is_empty()
    }

    /// The power goes off, and comes back.
    pub fn reboot(&self) {
        let mut image = self.lock();
        image.tear();
        image.holder = None;
        image.fails_after = None;
        image.syncs = 0;
    }

    /// Another one in its place.
    pub fn replace(&self) {
        let mut image = self.lock();
        *image = Image { opens: image.opens, ..Image::default() };
    }

    /// Nothing fits any more.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// Each commit takes as long from now on.
    pub fn slow(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    pub fn fail_after(&self, syncs: usize) {
        let mut image = self.lock();
        image.fails_after = Some(syncs + image.syncs);
    }

    pub fn syncs(&self) -> usize {
        self.lock().syncs
    }

    pub fn delay(&self) -> Duration {
        self.lock().delay
    }

    pub fn open(&self) -> Result<Database, redb::DatabaseError> {
        let open = Open { disk: self.clone(), id: self.hold()? };
        Database::builder().create_with_backend(open)
    }

    fn hold(&self) -> Result<u64, redb::DatabaseError> {
        let mut image = self.lock();
        if image.holder.is_some() {
            return Err(redb::DatabaseError::DatabaseAlreadyOpen);
        }
        image.opens += 1;
        image.holder = Some(image.opens);
        Ok(image.opens)
    }

    fn lock(&self) -> MutexGuard<'_, Image> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Image {
    /// Of what was not synced, the new length and each sector are there or not, whichever came first.
    fn tear(&mut self) {
        if Drawn.gen_bool(0.5) {
            self.synced.resize(self.cached.len(), 0);
        }
        for (start, data) in self.unsynced.drain(..) {
            for (at, sector) in (start..).step_by(SECTOR).zip(data.chunks(SECTOR)) {
                let room = self.synced.get_mut(at..at + sector.len());
                if let Some(room) = room.filter(|_| Drawn.gen_bool(0.5)) {
                    room.copy_from_slice(sector);
                }
            }
        }
        self.cached = self.synced.clone();
    }
}

impl Open {
    fn image(&self) -> io::Result<MutexGuard<'_, Image>> {
        let image = self.disk.lock();
        if image.holder == Some(self.id) { Ok(image) } else { Err(io::Error::other("the power went off")) }
    }
}

impl StorageBackend for Open {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.image()?.cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let image = self.image()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = image.cached.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut image = self.image()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if image.full && len > image.cached.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        image.cached.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut image = self.image()?;
        if image.full || image.fails_after.is_some_and(|syncs| image.syncs >= syncs) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        image.syncs += 1;
        image.synced = image.cached.clone();
        image.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut image = self.image()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let room = image.cached.get_mut(start..start + data.len());
        room.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        image.unsynced.push((start, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> Result<(), io::Error> {
        self.image()?.holder = None;
        Ok(())
    }
}
