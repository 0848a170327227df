//! The place of a panic. A panic that is caught has a message, but no place; only the panic hook
//! learns it.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    /// The place of the last panic of this thread.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Puts a hook before the present panic hook of the process, once. It notes the place of each
/// panic, then calls the other hook.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            // The thread's storage may be gone already.
            let _ = PLACE.try_with(|noted| {
                if let Ok(mut noted) = noted.try_borrow_mut() {
                    *noted = place;
                }
            });
            next(info);
        }));
    });
}

/// Returns the place of the panic that was just caught on this thread, if the hook has noted it.
pub(super) fn take() -> Option<String> {
    PLACE.with_borrow_mut(Option::take)
}
