//! Plain values as text, markup and pictures. Pure.
//!
//! | file | holds |
//! |---|---|
//! | `escape` | the escaper of all templates |
//! | `number`, `time` | numbers and times as people read them |
//! | `icon`, `spark`, `chart` | pictures as SVG, drawn here and without a script |
//! | `payload` | payloads as coloured JSON |
//! | `table` | tables: columns, rows and cells |

mod chart;
mod escape;
mod icon;
mod number;
mod payload;
mod spark;
mod table;
mod time;

pub(crate) use chart::{Chart, Line, Mark, Scale};
pub(crate) use escape::{Escaper, cut, escaped};
pub(crate) use icon::{icon, with_class};
pub(crate) use number::{UNKNOWN, bytes, many, number, percent, rate};
pub(crate) use payload::{Shown, payload, preview};
pub(crate) use spark::{area, bars, line, meter};
pub(crate) use table::{Cell, Column, Table};
pub(crate) use time::{clock, from_now, full, micros, moment, span, time_element};
