//! Views as they are drawn, on terminals of several sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::output::number;

fn view() -> View {
    let mut table = Table::new(&["QUEUE", ">READY", ">DEAD", "STATE"]);
    for at in 0..40 {
        let state = Cell::new("running").tone(Tone::Good);
        let dead = Cell::new(number(at)).tone(Tone::Bad);
        table.row([format!("queue-{at:02}").into(), number(at * 1_000).into(), dead, state]);
    }
    View {
        namespace: "shop".to_owned(),
        server: "Valkey 9.1.2 0.4 ms".to_owned(),
        tab: Tab::Overview,
        sums: vec![("ready", "780,000".into()), ("dead", Cell::new("780").tone(Tone::Bad))],
        attention: vec![],
        title: "40 queues".to_owned(),
        table,
        selected: 0,
        marks: vec![],
        pane: vec![],
        overlay: None,
        keys: "? help  q quit",
        message: None,
        took: Some(3),
    }
}

fn drawn(view: &View, width: u16, height: u16, coloured: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen(frame, view, coloured)).unwrap();
    terminal.backend().clone()
}

fn lines(view: &View, width: u16, height: u16) -> Vec<String> {
    let shown = drawn(view, width, height, false).to_string();
    shown.lines().map(|line| line.trim_matches('"').trim_end().to_owned()).collect()
}

#[test]
fn the_table_follows_the_chosen_row() {
    let mut view = view();
    let shown = lines(&view, 80, 9);
    assert_eq!(
        shown,
        [
            " shop 1 Overview  2 Queue  3 Jobs  4 Errors  5 Schedules  6 Nodes          3 ms",
            " ready 780,000   dead 780",
            " 40 queues",
            " QUEUE      READY  DEAD  STATE",
            ">queue-00       0     0  running",
            " queue-01   1,000     1  running",
            " queue-02   2,000     2  running",
            " queue-03   3,000     3  running",
            " ? help  q quit",
        ]
    );
    view.marks = vec![1, 3];
    let shown = lines(&view, 80, 9);
    assert_eq!(shown[3], "   QUEUE      READY  DEAD  STATE");
    for (line, start) in shown[4..].iter().zip([">  queue-00", " x queue-01", "   queue-02"]) {
        assert!(line.starts_with(start), "{line:?} {start:?}");
    }
    view.marks.clear();
    view.selected = 39;
    let shown = lines(&view, 80, 9);
    assert!(shown[4].starts_with(" queue-36") && shown[7].starts_with(">queue-39"), "{shown:?}");
}

#[test]
fn a_message_stands_above_the_table_and_a_pane_below() {
    let mut view = view();
    view.message = Some(Cell::new("Redis does not answer").tone(Tone::Bad));
    view.pane = vec![("job".into(), "019e".into()), ("payload".into(), "x".repeat(100).into())];
    let shown = lines(&view, 60, 14);
    assert_eq!(shown[2], " Redis does not answer");
    let rule = shown.iter().position(|line| line.starts_with('─')).unwrap();
    assert_eq!(shown[rule + 1], " job      019e");
    assert_eq!(shown[rule + 2], format!(" payload  {}", "x".repeat(50)));
    assert_eq!(shown[rule + 3], format!("          {}", "x".repeat(50)));
    // More facts than the screen has room for.
    view.pane = (0..100).map(|at| (format!("fact {at}"), "x".into())).collect();
    let shown = lines(&view, 60, 14);
    assert!(shown.iter().any(|line| line.starts_with(">queue-00")), "{shown:?}");
}

#[test]
fn what_needs_a_person_stands_above_the_title() {
    let mut view = view();
    let calls =
        ["mail: 12 jobs wait, and no living node serves the queue", "video: no leader", "x"];
    view.attention = calls.map(|call| Cell::new(call).tone(Tone::Bad)).to_vec();
    let shown = lines(&view, 80, 24);
    assert_eq!(shown[2], " ! mail: 12 jobs wait, and no living node serves the queue");
    assert_eq!(shown[3], " ! video: no leader (and 1 more)");
    assert_eq!((shown[4].as_str(), shown.len()), (" 40 queues", 24));
    view.namespace = "shop-production".to_owned();
    assert!(lines(&view, 80, 24)[0].starts_with(" shop-produc… 1 Overview"), "{shown:?}");
    assert!(lines(&view, 100, 24)[0].starts_with(" poolder shop-production 1"), "{shown:?}");
    let wide = &lines(&view, 130, 24)[0];
    assert!(wide.starts_with(" poolder shop-production  Valkey 9.1.2 0.4 ms 1"), "{wide}");
}

#[test]
fn a_question_and_the_help_lie_above_everything() {
    let mut view = view();
    let text = "Delete all dead jobs of mail? Type the name of the queue:".to_owned();
    view.overlay = Some(Overlay::Question { text, answer: "ma".into() });
    let shown = lines(&view, 80, 24).join("\n");
    assert!(shown.contains("Are you sure?") && shown.contains("> ma_"), "{shown}");
    view.overlay = Some(Overlay::Help);
    let shown = lines(&view, 80, 24).join("\n");
    assert!(shown.contains("keys in upper case are dangerous, and ask first."), "{shown}");
    assert!(shown.contains("server  Valkey 9.1.2 0.4 ms"), "{shown}");
}

#[test]
fn every_size_of_a_terminal_is_drawn() {
    let mut view = view();
    view.pane = vec![("job".into(), "019e".into())];
    for overlay in [None, Some(Overlay::Help)] {
        view.overlay = overlay;
        for (width, height) in [(0, 0), (1, 1), (3, 2), (10, 5), (80, 3), (400, 200)] {
            drawn(&view, width, height, true);
        }
    }
    view.table = Table::new(&["QUEUE"]);
    drawn(&view, 80, 24, true);
}

#[test]
fn columns_of_text_give_way_before_numbers_do() {
    let mut table = Table::new(&["NAME", ">READY", "STATE"]);
    table.row(["a-very-long-name-of-a-queue".into(), "1,234,567".into(), "no leader".into()]);
    let columns = Columns::of(&table, 40);
    assert_eq!((columns.widths, columns.gap), (vec![20, 9, 9], 1));
    let columns = Columns::of(&table, 10);
    assert_eq!(columns.widths, [8, 9, 8], "no narrower than this: the rest is cut at the edge");
}

#[test]
fn without_colours_no_cell_has_one() {
    let plain = drawn(&view(), 80, 24, false);
    let has_colour = |backend: &TestBackend| {
        backend.buffer().content().iter().any(|cell| cell.fg != Color::Reset)
    };
    assert!(!has_colour(&plain));
    assert!(has_colour(&drawn(&view(), 80, 24, true)));
    assert_eq!(plain.to_string(), drawn(&view(), 80, 24, true).to_string(), "words tell the same");
}
