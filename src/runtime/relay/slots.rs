//! Where a worker keeps what it polls, by the number in the event's token.

/// Things by index. An index given up during a round of events is not used again before
/// [`recycle`](Self::recycle), so a late event never reaches a newcomer.
pub(super) struct Slots<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
    retired: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), retired: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// An index for something to be [`put`](Self::put) there.
    pub(super) fn reserve(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        })
    }

    /// Takes out what is at `index` to work on it; put it back or retire the index.
    pub(super) fn take(&mut self, index: usize) -> Option<T> {
        self.entries.get_mut(index)?.take()
    }

    pub(super) fn put(&mut self, index: usize, entry: T) {
        self.entries[index] = Some(entry);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index)?.as_mut()
    }

    /// Gives `index` up, with what is there.
    pub(super) fn retire(&mut self, index: usize) {
        self.entries[index] = None;
        self.retired.push(index);
    }

    /// Makes retired indices available again.
    pub(super) fn recycle(&mut self) {
        self.free.append(&mut self.retired);
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().flatten()
    }

    /// Whether `wanted` holds for anything.
    pub(super) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.entries.iter().flatten().any(wanted)
    }

    /// The indices in use for which `wanted` holds.
    pub(super) fn indices(&self, wanted: impl Fn(&T) -> bool) -> Vec<usize> {
        let used = self.entries.iter().enumerate();
        used.filter(|(_, entry)| entry.as_ref().is_some_and(&wanted))
            .map(|(index, _)| index)
            .collect()
    }
}
