//! The effect of each key.

use poolder_core::Handle;

use super::*;
use crate::output::Table;
use crate::top::view::Rows;

fn sample(want: &Wanted, names: &[&str]) -> Sample {
    let mut table = Table::new(&["QUEUE"]);
    names.iter().for_each(|name| table.row([(*name).into()]));
    let subject = |name: &&str| match want.tab {
        Tab::Overview => Subject::Queue((*name).to_owned()),
        Tab::Jobs => Subject::Job(Handle::named("mail", name).unwrap()),
        Tab::Errors => Subject::Error("9f1c04ab77de".parse().unwrap()),
        Tab::Nodes => Subject::Node((*name).to_owned()),
        Tab::Schedules => Subject::Schedule { queue: "mail".into(), name: (*name).to_owned() },
        Tab::Queue => Subject::Part,
    };
    let subjects = names.iter().map(subject).collect();
    let next = "12.3".parse().ok();
    let rows = Rows { of: want.clone(), title: "rows".into(), table, subjects, next };
    Sample { rows: Some(rows), ..Sample::default() }
}

/// Returns the screen with these rows.
fn app(names: &[&str]) -> App {
    let mut app = App::new("shop".into());
    app.show(sample(&app.wanted(), names));
    app
}

fn press(app: &mut App, keys: &str) -> Effect {
    keys.chars().fold(Effect::Nothing, |_, key| {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            '\t' => KeyCode::Tab,
            key => KeyCode::Char(key),
        };
        app.key(code.into())
    })
}

#[test]
fn a_destructive_key_acts_only_after_the_right_answer() {
    let mut app = app(&["mail", "reports"]);
    assert_eq!(press(&mut app, "jD"), Effect::Nothing);
    assert!(
        matches!(&app.overlay, Some(Overlay::Question { text, .. }) if text.contains("reports"))
    );
    assert_eq!(press(&mut app, "mail\n"), Effect::Nothing);
    assert_eq!(app.view().message.unwrap().text(), "nothing was changed");
    // A key that means something else is part of the answer.
    assert_eq!(
        press(&mut app, "Dqx\u{8}\u{8}reports\n"),
        Effect::Do(vec![Action::Drain("reports".into())])
    );
    assert_eq!(press(&mut app, "P\u{1b}\n"), Effect::Look, "Esc leaves the question");
    assert_eq!(app.asked, None);
}

#[test]
fn every_destructive_action_asks_and_has_an_upper_case_key() {
    for (tab, keys) in [
        (Tab::Overview, "prDP"),
        (Tab::Jobs, "rCKX"),
        (Tab::Errors, "RB"),
        (Tab::Schedules, "pre"),
        (Tab::Nodes, "QS"),
    ] {
        for key in keys.chars() {
            let mut app = App::new("shop".into());
            app.go(tab);
            app.show(sample(&app.wanted(), &["mail"]));
            let effect = press(&mut app, &key.to_string());
            let asked = app.overlay.is_some();
            assert_eq!(asked, key.is_uppercase(), "{tab:?} {key}");
            assert_eq!(matches!(effect, Effect::Do(_)), !asked, "{tab:?} {key}");
        }
    }
}

#[test]
fn the_chosen_row_is_kept_when_the_rows_change() {
    let mut app = app(&["a", "b", "c"]);
    press(&mut app, "j");
    app.show(sample(&app.wanted(), &["b", "c", "a"]));
    assert_eq!((app.view().selected, app.subject()), (0, Some(Subject::Queue("b".into()))));
    app.show(sample(&app.wanted(), &["x"]));
    assert_eq!(app.view().selected, 0);
    app.show(sample(&app.wanted(), &[]));
    assert_eq!(press(&mut app, "jkGp"), Effect::Nothing, "nothing is chosen");
}

#[test]
fn rows_are_filtered_and_rows_of_another_tab_are_not_shown() {
    let mut app = app(&["mail", "reports", "MAILING"]);
    press(&mut app, "/mail");
    assert_eq!(app.view().table.rows().len(), 2);
    assert!(app.view().title.ends_with("/mail"));
    // While the filter is typed, q is a letter.
    assert_eq!(press(&mut app, "q"), Effect::Nothing);
    press(&mut app, "\u{8}\n");
    assert_eq!(press(&mut app, "jp"), Effect::Do(vec![Action::Pause("MAILING".into())]));
    press(&mut app, "\u{1b}");
    assert_eq!(app.view().table.rows().len(), 3);
    assert_eq!(press(&mut app, "j\n"), Effect::Look);
    assert_eq!(app.wanted().tab, Tab::Queue);
    assert_eq!(app.view().table.rows().len(), 0, "the rows are those of the overview");
}

#[test]
fn pages_and_states_of_jobs_are_walked() {
    let mut app = app(&["mail"]);
    press(&mut app, "3");
    assert_eq!(app.wanted().queue.as_deref(), Some("mail"));
    app.show(sample(&app.wanted(), &["one", "two"]));
    assert_eq!(press(&mut app, "j\n"), Effect::Look);
    assert_eq!(app.wanted().open, Some(Subject::Job(Handle::named("mail", "two").unwrap())));
    assert_eq!(press(&mut app, "k"), Effect::Look, "the pane follows the row");
    assert_eq!(app.wanted().open, Some(Subject::Job(Handle::named("mail", "one").unwrap())));
    assert_eq!(press(&mut app, "l"), Effect::Look);
    assert!(app.wanted().after.is_some() && app.wanted().open.is_none());
    assert_eq!(press(&mut app, "l"), Effect::Nothing, "the rows are those of the page before");
    assert_eq!(press(&mut app, "h"), Effect::Look);
    assert_eq!(app.wanted().after, None);
    assert_eq!(press(&mut app, "h"), Effect::Nothing);
    for listing in [Listing::Running, Listing::Due, Listing::Dead, Listing::Ready] {
        assert_eq!(press(&mut app, "s"), Effect::Look);
        assert_eq!(app.wanted().listing, listing);
    }
}

#[test]
fn chosen_rows_are_changed_together_after_their_number_was_typed() {
    let mut app = app(&["a", "b", "c"]);
    assert_eq!(press(&mut app, "xx"), Effect::Nothing, "each goes on to the next row");
    assert_eq!((app.view().marks, app.view().selected), (vec![0, 1], 2));
    assert!(app.view().title.ends_with("2 chosen"));
    assert_eq!(press(&mut app, "p"), Effect::Nothing);
    let asked = app.overlay.clone();
    assert!(
        matches!(&asked, Some(Overlay::Question { text, .. }) if text.contains("Pause 2 queues?"))
    );
    let both = ["a", "b"].map(|name| Action::Pause(name.into())).to_vec();
    assert_eq!(press(&mut app, "2\n"), Effect::Do(both));
    assert_eq!(app.view().marks, [0; 0], "they are changed once");

    // A row that the filter hides, or that has left the list, is not changed.
    press(&mut app, "A/b\n");
    assert_eq!(press(&mut app, "p"), Effect::Do(vec![Action::Pause("b".into())]));
    press(&mut app, "\u{1b}A");
    app.show(sample(&app.wanted(), &["c", "x"]));
    assert_eq!(app.view().marks, [0]);
    press(&mut app, "A");
    assert_eq!(app.view().marks, [0, 1]);
    press(&mut app, "A");
    assert_eq!(app.view().marks, [0; 0], "again: none");
    press(&mut app, "x\u{1b}");
    assert_eq!((app.view().marks, app.wanted().tab), (vec![], Tab::Overview));
    press(&mut app, "x6");
    app.show(sample(&app.wanted(), &["a", "b"]));
    assert_eq!(app.view().marks, [0; 0], "another tab has rows of its own");
    press(&mut app, "AQ3\n");
    assert_eq!(app.view().message.unwrap().text(), "nothing was changed");
}

#[test]
fn a_look_that_fails_leaves_the_one_before_and_says_so() {
    let mut app = app(&["mail"]);
    let error = Some("Redis at localhost does not answer".to_owned());
    app.show(Sample { error, ..Sample::default() });
    let view = app.view();
    assert_eq!((view.table.rows().len(), view.message.unwrap().meaning()), (1, Tone::Bad));
    app.show(sample(&app.wanted(), &["mail"]));
    assert_eq!(app.view().message, None);
}

#[test]
fn escape_and_a_key_that_come_together_are_two_keys() {
    let mut app = app(&["mail", "reports"]);
    let both = |key| KeyEvent::new(KeyCode::Char(key), KeyModifiers::ALT);
    press(&mut app, "?");
    app.key(both('/'));
    assert_eq!(press(&mut app, "rep\n"), Effect::Nothing);
    assert_eq!(app.view().table.rows().len(), 1, "the help was closed, and the rows are filtered");
    assert_eq!(app.key(both('3')), Effect::Look);
    assert_eq!(app.wanted().tab, Tab::Jobs);
}

#[test]
fn q_and_control_c_leave_from_everywhere() {
    let quit = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "D", "?", "/x"] {
        let mut app = app(&["mail"]);
        press(&mut app, keys);
        assert_eq!(app.key(quit), Effect::Quit, "{keys}");
    }
    assert_eq!(press(&mut app(&["mail"]), "q"), Effect::Quit);
    let mut app = app(&["mail"]);
    let tabs: Vec<Tab> = (0..6)
        .map(|_| {
            press(&mut app, "\t");
            app.wanted().tab
        })
        .collect();
    assert_eq!(
        tabs,
        [Tab::Queue, Tab::Jobs, Tab::Errors, Tab::Schedules, Tab::Nodes, Tab::Overview]
    );
}
