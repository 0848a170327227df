//! Looks at each page: no error, no violation of the policy, nothing that axe-core finds, and no
//! page that is wider than the screen.

use serde_json::Value;

use crate::driver::{Tab, Theme};
use crate::fleet::Fleet;
use crate::report::Report;
use crate::table::PAGES;

/// A phone, a notebook and a wide screen, in pixels.
const WIDTHS: [u32; 3] = [380, 1280, 1920];

/// Examines the page by the rules of WCAG 2.2 AA. The size of targets is a rule of WCAG 2.2 that
/// axe-core leaves out unless it is asked for it.
const EXAMINE: &str = "
    axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
        rules: { 'target-size': { enabled: true } },
        resultTypes: ['violations'],
    }).then((found) => done(found.violations.map((it) => ({
        rule: it.id,
        help: it.help,
        nodes: it.nodes.slice(0, 4).map((node) => `${node.target} ${node.html.slice(0, 160)}`),
    }))), (error) => done([{ rule: 'axe', help: String(error), nodes: [] }]))";

/// Looks at all pages, or at each of them in one theme and at one width.
pub(crate) async fn look_at_all(
    fleet: &Fleet,
    tab: &Tab,
    axe: &str,
    all: bool,
    report: &mut Report,
) {
    let mut looks = vec![];
    for theme in [Theme::Light, Theme::Dark] {
        looks.extend(WIDTHS.map(|width| (theme, width)));
    }
    for (at, (_, path)) in PAGES.iter().enumerate() {
        for (number, (theme, width)) in looks.iter().enumerate() {
            // Each page of the sample is looked at in another way.
            if all || number == at % looks.len() {
                let name = format!("page {path} {theme} {width}");
                let look = async || {
                    tab.look(*theme, *width)?;
                    // Those of an action before it.
                    tab.faults()?;
                    look_at(fleet, tab, axe, path, *width)
                };
                report.check(&name, look()).await;
            }
        }
    }
}

/// Looks at one page.
fn look_at(fleet: &Fleet, tab: &Tab, axe: &str, path: &str, width: u32) -> Result<(), String> {
    tab.open(&fleet.page(path))?;
    let mut wrong = examine(tab, axe, width)?;
    // The browser notes the status of a page that is not there.
    wrong.retain(|fault| !(path.starts_with("/no/") && fault.contains("404")));
    if wrong.is_empty() { Ok(()) } else { Err(listed(&wrong)) }
}

fn listed(wrong: &[String]) -> String {
    wrong.iter().map(|fault| format!("\n  {fault}")).collect()
}

/// Returns all that is wrong with the page that is shown.
fn examine(tab: &Tab, axe: &str, width: u32) -> Result<Vec<String>, String> {
    let mut wrong = tab.faults()?;
    let whole = "document.querySelectorAll('h1').length == 1 && document.title.endsWith('Poolder')";
    if tab.value(whole)? != true {
        wrong.push("the page has no title".into());
    }
    let wide = tab.value("document.documentElement.scrollWidth")?;
    if wide.as_u64().is_none_or(|wide| wide > width.into()) {
        wrong.push(format!("the page is {wide} pixels wide: {}", widest(tab, width)?));
    }
    let drawn =
        "[...document.querySelectorAll('[data-chart]')].every((it) => it.querySelector('canvas'))";
    if tab.value(drawn)? != true {
        wrong.push("a chart is not drawn".into());
    }
    tab.value(&format!("void (() => {{ {axe} }})()"))?;
    for found in tab.run(EXAMINE)?.as_array().into_iter().flatten() {
        let nodes = found["nodes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let nodes: String = nodes.map(|node| format!("\n    {node}")).collect();
        wrong.push(format!("{}: {}{nodes}", found["rule"], found["help"]));
    }
    Ok(wrong)
}

/// Breaks a page in each way that a look has to notice.
pub(crate) fn notices_a_broken_page(fleet: &Fleet, tab: &Tab, axe: &str) -> Result<(), String> {
    tab.look(Theme::Light, 380)?;
    tab.open(&fleet.page("/queues/mail"))?;
    tab.value(
        "void (() => {
            console.error('a complaint');
            setTimeout(() => { throw new Error('a slip') });
            document.querySelector('[data-chart] canvas').remove();
            document.querySelector('h1').remove();
            document.querySelector('main').insertAdjacentHTML('beforeend', 
                '<img src=/robots.txt><p class=faint id=wide style=color:red>wide</p><div id=tight><button>a</button><button>b</button></div>');
            const wide = document.querySelector('#wide');
            wide.style.width = '3000px';
            wide.style.color = '#999';
            const small = [...document.querySelectorAll('#tight button')];
            small.forEach((it) => { it.style.cssText = 'width:8px;height:8px;padding:0'; });
        })()",
    )?;
    tab.until("the slip is noted", || Ok(tab.value("faults.length")?.as_u64() >= Some(2)))?;
    let wrong = listed(&examine(tab, axe, 380)?);
    for part in [
        "a complaint",
        "a slip",
        "violates style-src-attr",
        "no title",
        "pixels wide",
        "not drawn",
        "image-alt",
        "color-contrast",
        "target-size",
    ] {
        if !wrong.contains(part) {
            return Err(format!("{part:?} was not noticed, but:{wrong}"));
        }
    }
    Ok(())
}

/// Returns the elements that reach beyond the screen and do not scroll by themselves.
fn widest(tab: &Tab, width: u32) -> Result<Value, String> {
    tab.value(&format!(
        "[...document.querySelectorAll('body *')].filter((it) => \
         it.getBoundingClientRect().right > {width} && !it.closest('.scroll, .tabs, .side'))\
         .slice(-4).map((it) => it.outerHTML.slice(0, 120))"
    ))
}
