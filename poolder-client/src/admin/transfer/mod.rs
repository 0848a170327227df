//! Exports of jobs, schedules and settings as lines of JSON, and their import.
//!
//! | file | content |
//! |---|---|
//! | `line` | a line of an export |
//! | `base64` | the text of bytes |
//! | `export` | reading the lines of a namespace |
//! | `import` | storing the content of lines |
//! | `report` | sums of exports, reports of imports |

mod base64;
mod export;
mod import;
mod line;
mod report;

pub use export::Export;
pub use import::Import;
pub use report::{ExportSums, ImportReport};
