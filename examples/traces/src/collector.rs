//! A stand-in for a collector: it keeps the spans that a program would export.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// The spans that have ended. A real program exports them over OTLP instead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}

impl Collector {
    /// Returns the spans of this name, in the order in which they ended.
    pub(crate) fn named(&self, name: &str) -> Vec<SpanData> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// Returns the ids by which other spans refer to this one.
pub(crate) fn ids(span: &SpanData) -> (TraceId, SpanId) {
    (span.span_context.trace_id(), span.span_context.span_id())
}

/// Returns whether a span has a link to another one.
pub(crate) fn is_linked(span: &SpanData, to: &SpanData) -> bool {
    let linked = |link: &opentelemetry::trace::Link| {
        (link.span_context.trace_id(), link.span_context.span_id()) == ids(to)
    };
    span.links.iter().any(linked)
}

/// Returns the text of an attribute.
pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key.as_str() == name);
    found.map(|pair| pair.value.to_string())
}
