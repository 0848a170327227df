//! The servers, and the findings of the doctor.

use axum::response::Response;
use poolder_client::{Finding, Severity};
use poolder_core::broker::ServerView;

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use super::notes::queue_of;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, bytes, many, number, span};

/// Answers with the servers.
pub(crate) async fn server(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let looks = &context.shared.looks;
    let (fleet, servers, diagnosis) =
        tokio::try_join!(looks.fleet(), looks.servers(), looks.diagnosis())?;
    let mut table = Table::new(
        "Servers",
        vec![
            Column::text("Server"),
            Column::text("Role"),
            Column::number("Up"),
            Column::number("Answers in"),
            Column::number("Memory"),
            Column::text("When full"),
            Column::text("Append-only file"),
            Column::number("Replicas"),
            Column::number("Clients"),
        ],
    );
    servers.value.iter().for_each(|server| table.row(cells(server)));
    let mut findings = Table::new(
        "Findings",
        vec![
            Column::text("How bad"),
            Column::text("Subject"),
            Column::text("Finding").class("wrap"),
            Column::text("Harm").class("wrap"),
            Column::text("Do").class("wrap"),
        ],
    )
    .or("The doctor finds no fault.");
    let seen = |finding: &&Finding| {
        queue_of(&finding.subject).is_none_or(|queue| context.visitor.sees(queue))
    };
    for finding in diagnosis.value.findings.iter().filter(seen) {
        let (word, tone) = match finding.severity {
            Severity::Problem => ("problem", "bad"),
            Severity::Warning => ("warning", "warn"),
            _ => ("note", ""),
        };
        findings.row([
            Cell::text("").chip("errors", word, tone),
            Cell::text(&finding.subject),
            Cell::text(&finding.what),
            Cell::text(&finding.why).class("muted"),
            Cell::text(&finding.cure),
        ]);
    }
    let frame = Frame::new(context, "Server", "/server", Some(&fleet)).await;
    let about = many(servers.value.len() as u64, "server");
    let cards =
        vec![Card::new("Servers", "", table), Card::new("Doctor", "poolder doctor", findings)];
    Ok(CardsPage::new(frame, about, cards))
}

fn cells(server: &ServerView) -> Vec<Cell> {
    let memory = match server.memory_max {
        Some(most) => format!("{} of {}", bytes(server.memory_used), bytes(most)),
        None => bytes(server.memory_used),
    };
    let clients = match server.clients_max {
        Some(most) => format!("{} of {}", number(server.clients), number(most)),
        None => number(server.clients),
    };
    let latency = server.latency.as_ref().map(|it| format!("{:.1} ms", it.median as f64 / 1_000.0));
    let aof = server.aof.map_or("", |on| if on { "on" } else { "off" });
    let name = Cell::text(&server.name).class("name").small(&server.address, "faint");
    vec![
        match &server.why {
            Some(why) => name.chip("errors", why, "bad"),
            None => name,
        },
        Cell::known(&server.role),
        Cell::text(span(server.uptime)),
        Cell::known(&latency.unwrap_or_default()),
        Cell::text(memory),
        Cell::known(&server.policy),
        Cell::known(aof),
        Cell::count(server.replicas),
        Cell::text(clients),
    ]
}
