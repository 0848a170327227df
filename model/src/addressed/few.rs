//! A short list with a fixed capacity, which can be copied and compared cheaply.

/// A list of at most `N` values, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Few<T, const N: usize>([Option<T>; N]);

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// Returns the values in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Returns the first value.
    #[must_use]
    pub fn first(&self) -> Option<T> {
        self.0.first().copied().flatten()
    }

    /// Returns true when the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// Appends a value.
    ///
    /// # Panics
    /// Panics when the list is full: a model of this size must not need more.
    pub fn push(&mut self, value: T) {
        *self.0.iter_mut().find(|place| place.is_none()).expect("room for the value") = Some(value);
    }

    /// Removes and returns the first value.
    pub fn pop(&mut self) -> Option<T> {
        let first = self.first()?;
        self.0.copy_within(1.., 0);
        self.0[N - 1] = None;
        Some(first)
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.0 = [None; N];
    }

    /// Keeps the values that `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        *self = self.iter().filter(keep).collect();
    }

    /// Replaces the values that `change` returns something for.
    pub fn update(&mut self, change: impl Fn(T) -> T) {
        *self = self.iter().map(change).collect();
    }
}

impl<T: Copy, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::default();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}
