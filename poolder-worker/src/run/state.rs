//! State that handlers share: kept by its type in a pool or a node, and found by handlers there.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use poolder_core::Error;

use super::guard::GuardedDrop;

/// An argument by which a handler function reaches shared state: a clone of the value of type `T`
/// that was given to the pool ([`Pool::state`](crate::Pool::state)) or else to the node
/// ([`NodeBuilder::state`](crate::NodeBuilder::state)).
///
/// Arguments of state stand before the job, up to four of them. Each job gets a clone of its own:
/// share what is costly to clone by an `Arc`. A node that lacks a type that its handlers take does
/// not start.
///
/// ```
/// use poolder_worker::{Pool, State, worker_fn};
/// # use poolder_core::{BoxError, Job};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
///
/// #[derive(Clone)]
/// struct Mailer { sender: String }
///
/// async fn welcome(State(mailer): State<Mailer>, job: Welcome) -> Result<(), BoxError> {
///     println!("welcome, user {}, says {}", job.user, mailer.sender);
///     Ok(())
/// }
///
/// let mailer = Mailer { sender: "the team".into() };
/// let pool = Pool::new("mail").state(mailer).worker(worker_fn(welcome));
/// # let _ = pool;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<T: Clone + Send + Sync + 'static>(
    /// The clone of the value.
    pub T,
);

/// A type of shared state that a worker needs: see [`Worker::STATES`](crate::Worker::STATES).
#[derive(Clone, Copy)]
pub struct StateType {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl StateType {
    /// Returns the entry for the type `T`.
    #[must_use]
    pub const fn of<T: Clone + Send + Sync + 'static>() -> Self {
        Self { id: TypeId::of::<T>, name: type_name::<T> }
    }
}

impl fmt::Debug for StateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateType::of::<{}>()", (self.name)())
    }
}

/// The shared state of a pool or a node: at most one value of each type.
#[derive(Clone, Default)]
pub(crate) struct States {
    values: Vec<Value>,
    /// The name of a type of which a second value was given.
    twice: Option<&'static str>,
}

/// A value and its type. The value is in a [`GuardedDrop`] of that type.
#[derive(Clone)]
struct Value {
    id: TypeId,
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl States {
    /// Adds a value.
    pub(crate) fn add<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        let (id, name) = (TypeId::of::<T>(), type_name::<T>());
        if self.has(id) {
            self.twice = Some(name);
        }
        self.values.push(Value { id, name, value: Arc::new(GuardedDrop::new(value)) });
    }

    /// Adds the values of `others` whose types are not here.
    pub(crate) fn extend(&mut self, others: &Self) {
        for other in &others.values {
            if !self.has(other.id) {
                self.values.push(other.clone());
            }
        }
    }

    /// Returns the value of type `T`.
    pub(crate) fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        let value = &self.values.iter().find(|value| value.id == id)?.value;
        value.downcast_ref::<GuardedDrop<T>>()?.get()
    }

    /// Checks that no type has two values; `owner` names the pool or the node.
    pub(crate) fn check(&self, owner: &str) -> Result<(), Error> {
        match self.twice {
            Some(name) => Err(Error::invalid(format!(
                "{owner} has two values of state of the type {name}, it can have one of each type: \
                 wrap one of them in a type of its own"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that a value of each of these types is here; `needed_by` names the worker.
    pub(crate) fn check_all(&self, needed_by: &str, types: &[StateType]) -> Result<(), Error> {
        match types.iter().find(|needed| !self.has((needed.id)())) {
            Some(needed) => Err(self.missing(needed_by, (needed.name)())),
            None => Ok(()),
        }
    }

    /// Returns the error for a value that is not here.
    pub(crate) fn missing(&self, needed_by: &str, name: &str) -> Error {
        let known: Vec<&str> = self.values.iter().map(|value| value.name).collect();
        Error::invalid(format!(
            "{needed_by} needs state of the type {name}: give it to the pool or the node with \
             .state(…); they have {known:?}"
        ))
    }

    fn has(&self, id: TypeId) -> bool {
        self.values.iter().any(|value| value.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Pages(u8);

    #[test]
    fn a_value_is_found_by_its_type_and_the_pool_comes_before_the_node() {
        let (mut pool, mut node) = (States::default(), States::default());
        pool.add(Pages(1));
        node.add(Pages(2));
        node.add("a text");
        pool.extend(&node);
        assert_eq!(pool.get::<Pages>(), Some(&Pages(1)));
        assert_eq!(pool.get::<&str>(), Some(&"a text"));
        assert_eq!(pool.get::<String>(), None);
        assert!(pool.check("the pool").is_ok());
    }

    /// Panics when it is dropped.
    #[derive(Clone)]
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }

    #[test]
    fn a_value_whose_drop_panics_breaks_no_task_of_the_node() {
        let mut states = States::default();
        states.add(Bomb);
        assert!(states.get::<Bomb>().is_some());
        drop(states);
    }

    #[test]
    fn a_missing_type_and_a_second_value_are_named() {
        let mut states = States::default();
        states.add(Pages(1));
        let needs = [StateType::of::<Pages>(), StateType::of::<Option<Pages>>()];
        assert!(states.check_all("w", &needs[..1]).is_ok());
        let error = states.check_all("the worker of \"x\"", &needs).unwrap_err().to_string();
        for part in ["the worker of \"x\"", "Option<", "Pages>", ".state(…)", "they have [\""] {
            assert!(error.contains(part), "{part}: {error}");
        }
        states.add(Pages(2));
        let error = states.check("pool q").unwrap_err().to_string();
        assert!(error.starts_with("pool q has two") && error.contains("Pages"), "{error}");
    }
}
