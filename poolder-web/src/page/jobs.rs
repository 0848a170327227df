//! The jobs of all queues, by state and filter.

use askama::Template;
use axum::response::Response;
use poolder_core::view::{JobView, Listing};

use super::answer::answer;
use super::bulk::{Bar, bar};
use super::frame::Frame;
use super::listing::{self, Facets, PAGE, Tab};
use super::queue::{filter, search_all, with_jobs};
use super::views::{self, Views};
use crate::request::{Context, Fault, encoded};
use crate::show::{Table, many, number};

/// The most queues that one search looks into.
const QUEUES: usize = 20;

#[derive(Debug, Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    tabs: Vec<Tab>,
    listing: String,
    filter: String,
    filter_error: String,
    bar: Option<Bar>,
    views: Views,
    table: Table,
    looked: String,
    /// The links to the rest, a queue each.
    more: Vec<(String, String)>,
    facets: Vec<Facets>,
    link: String,
}

/// Answers with the jobs of all queues.
pub(crate) async fn jobs(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<JobsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let queues = context.queues(&fleet.value);
    let counts =
        |listing: Listing| queues.iter().map(|view| listing::count(view, listing)).sum::<u64>();
    let chosen = listing::chosen(context, counts);
    let here = if chosen == Listing::Dead { "/jobs?state=dead" } else { "/jobs" };
    let title = if chosen == Listing::Dead { "Dead jobs" } else { "Jobs" };
    let frame = Frame::new(context, title, here, Some(&fleet)).await;
    let (filter, filter_error) = filter(context);
    let link = format!("{}?", context.link("/jobs"));
    let here = format!("{link}state={chosen}");
    let with = with_jobs(&queues, chosen);
    let searched = &with[..with.len().min(QUEUES)];
    let each = PAGE.div_ceil(searched.len().max(1));
    let (mut jobs, mut more, mut looked_at, mut notes) = (vec![], vec![], 0, String::new());
    let search = search_all(context, searched, chosen, &filter, each);
    let (views, all_found) = tokio::join!(views::saved(context), search);
    for (queue, found) in all_found {
        match found {
            Ok(found) => {
                looked_at += found.looked_at;
                if found.next.is_some() {
                    let path = context.link(&format!("/queues/{queue}"));
                    let terms = encoded(&filter.to_string());
                    more.push((
                        format!("More in {queue}"),
                        format!("{path}?state={chosen}&where={terms}"),
                    ));
                }
                jobs.extend(found.jobs);
            }
            Err(error) => notes += &format!(" {queue} could not be read: {error}."),
        }
    }
    if with.len() > searched.len() {
        notes +=
            &format!(" {} were left out.", many((with.len() - searched.len()) as u64, "queue"));
    }
    sort(&mut jobs, chosen);
    let verb = if filter.is_any() { "looked at" } else { "searched" };
    let looked = format!(
        "{} of {} in {}; {verb} {}.{notes}",
        many(jobs.len() as u64, "job"),
        number(counts(chosen)),
        many(searched.len() as u64, "queue"),
        number(looked_at)
    );
    let bar = bar(context, (None, chosen, counts(chosen)), &filter);
    Ok(JobsPage {
        frame,
        tabs: listing::tabs(chosen, &link, counts),
        listing: chosen.to_string(),
        filter: context.query("where").to_owned(),
        filter_error,
        table: listing::table(context, &jobs, (chosen, true, bar.is_some()), fleet.value.now),
        bar,
        views,
        looked,
        more,
        facets: listing::facets(&jobs, &filter, &here),
        link: context.link("/jobs"),
    })
}

/// Sorts jobs of several queues: those that come first, or ended last, first.
fn sort(jobs: &mut [JobView], listing: Listing) {
    match listing {
        Listing::Dead | Listing::Finished => jobs.sort_by_key(|job| std::cmp::Reverse(job.at)),
        _ => jobs.sort_by_key(|job| job.at),
    }
}
