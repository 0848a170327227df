//! The screen `poolder top`.
//!
//! | file | contents |
//! |---|---|
//! | `app` | the state of the screen, and what each key does: pure |
//! | `view` | the values that are drawn |
//! | `draw` | drawing of a view: pure |
//! | `look` | the sampler, which reads from the server once a second |
//! | `rates` | rates from the counters of several looks: pure |
//! | `rows` | rows of tables, from what the client returns |
//! | `act` | the actions behind the keys |

mod act;
mod app;
mod draw;
mod look;
mod rates;
mod rows;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::{mpsc, watch};

use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::output::Report;
use app::{App, Effect};

/// The most keys that wait to be handled.
const KEYS: usize = 64;
/// The time after which the thread that reads keys looks whether the screen was closed.
const KEY_POLL: Duration = Duration::from_millis(200);

/// Shows the screen until the user leaves it.
pub(crate) async fn run(common: &Common) -> Result<Report, Failure> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Failure::new(Exit::Failed, "`poolder top` needs a terminal")
            .hint("`poolder queue ls` writes the same numbers, also as JSON"));
    }
    let client = common.client().await?;
    let mut app = App::new(common.own_namespace().unwrap_or("poolder".to_owned()));
    let (want, wanted) = watch::channel(app.wanted());
    let (samples, mut sampled) = mpsc::channel(1);
    let sampler = tokio::spawn(look::run(client.clone(), wanted, samples));
    let (actions, mut acted) = mpsc::channel(KEYS);
    let mut keys = keys();
    let mut screen = Screen::open()?;
    loop {
        screen.draw(&app, common.is_coloured())?;
        let effect = tokio::select! {
            Some(event) = keys.recv() => match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => app.key(key),
                _ => Effect::Nothing,
            },
            Some(sample) = sampled.recv() => {
                app.show(sample);
                Effect::Nothing
            }
            Some(result) = acted.recv() => {
                app.tell(result);
                Effect::Look
            }
            () = ended() => Effect::Quit,
            else => Effect::Quit,
        };
        match effect {
            Effect::Nothing => {}
            Effect::Quit => break,
            // A look of the same things begins at once as well, to show the change.
            Effect::Look => drop(want.send(app.wanted())),
            Effect::Do(made) => {
                let (client, actions) = (client.clone(), actions.clone());
                tokio::spawn(async move {
                    let result = act::run(&client, &made).await;
                    let _ = actions.send(result).await;
                });
            }
        }
    }
    sampler.abort();
    Ok(Report::empty())
}

/// Returns when the program is asked to end.
async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let both = signal(SignalKind::terminate())
            .and_then(|terminate| Ok((terminate, signal(SignalKind::hangup())?)));
        if let Ok((mut terminate, mut hangup)) = both {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Starts the thread that reads keys and the size of the terminal.
fn keys() -> mpsc::Receiver<Event> {
    let (send, keys) = mpsc::channel(KEYS);
    std::thread::spawn(move || {
        while !send.is_closed() {
            let read = match event::poll(KEY_POLL) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(event) = read else { return };
            if send.blocking_send(event).is_err() {
                return;
            }
        }
    });
    keys
}

/// The terminal in its raw mode. It is put back when this is dropped, and when the program panics.
struct Screen {
    terminal: ratatui::DefaultTerminal,
}

impl Screen {
    fn open() -> Result<Self, Failure> {
        let terminal = ratatui::try_init().map_err(|error| unusable(&error))?;
        Ok(Self { terminal })
    }

    fn draw(&mut self, app: &App, coloured: bool) -> Result<(), Failure> {
        let view = app.view();
        let drawn = self.terminal.draw(|frame| draw::screen(frame, &view, coloured));
        drawn.map(drop).map_err(|error| unusable(&error))
    }
}

fn unusable(error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the terminal cannot be used: {error}"))
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
