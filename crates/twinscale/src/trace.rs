//! Which trace a message belongs to: the W3C `traceparent` attribute, or X-Ray's `AWSTraceHeader`. A message may wait for
//! days and be handled with others, so that its handling is a trace of its own that links to the sender's span.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use tracing::Span;
use tracing::field::Empty;

use crate::message::{AttributeValue, Message};

/// The message attribute, and the HTTP header, of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// One span of a trace, as another process names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    /// Whether it is recorded; `None`: X-Ray shall decide.
    sampled: Option<bool>,
}

impl TraceContext {
    /// What a message carries; the attribute wins over X-Ray's header.
    pub fn of(message: &Message) -> Option<Self> {
        let attribute = message.attributes.get(TRACEPARENT).map(|attribute| &attribute.value);
        let traceparent = match attribute {
            Some(AttributeValue::Text(text)) => Self::from_traceparent(text),
            _ => None,
        };
        traceparent.or_else(|| Self::from_xray(message.trace_header.as_deref()?))
    }

    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`, and what later versions add behind it
    /// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let whole = version != 0xFF && (version > 0 || parts.next().is_none());
        Self::valid(trace_id, span_id, Some(flags & 1 == 1)).filter(|_| whole)
    }

    /// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, in any order
    /// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>).
    pub fn from_xray(text: &str) -> Option<Self> {
        let mut trace_id = None;
        let mut span_id = 0;
        let mut sampled = None;
        for (name, value) in text.split(';').filter_map(|part| part.trim().split_once('=')) {
            match name {
                "Root" => {
                    let (epoch, unique) = value.strip_prefix("1-")?.split_once('-')?;
                    trace_id = Some(hex(epoch, 8)? << 96 | hex(unique, 24)?);
                }
                "Parent" => span_id = hex(value, 16)?,
                "Sampled" => sampled = value.parse::<u8>().ok().map(|flag| flag == 1),
                _ => {}
            }
        }
        Self::valid(trace_id?, span_id, sampled)
    }

    /// A trace that begins here. X-Ray wants the seconds since 1970 in front; W3C takes any number.
    pub fn start(now: SystemTime, mut random: impl FnMut() -> u64) -> Self {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs());
        let unique = u128::from(random()) << 32 | u128::from(random() >> 32);
        Self { trace_id: u128::from(seconds as u32) << 96 | unique, span_id: random() | 1, sampled: None }
    }

    /// Another span of the same trace.
    pub fn child(self, random: u64) -> Self {
        Self { span_id: random | 1, ..self }
    }

    fn valid(trace_id: u128, span_id: u128, sampled: Option<bool>) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id: span_id as u64, sampled })
    }

    /// As the attribute has it.
    pub fn traceparent(&self) -> String {
        let flags = u8::from(self.sampled.unwrap_or(true));
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// As X-Ray has it.
    pub fn xray(&self) -> String {
        let trace_id = format!("{:032x}", self.trace_id);
        let mut text = format!("Root=1-{}-{};Parent={:016x}", &trace_id[..8], &trace_id[8..], self.span_id);
        if let Some(sampled) = self.sampled {
            let _ = write!(text, ";Sampled={}", u8::from(sampled));
        }
        text
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    (text.len() == digits && text.chars().all(lower)).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// The span in which a message is handled. `seen` is what the handler sees of it.
pub fn handling(message: &Message, seen: &Message) -> Span {
    let id = &message.id;
    let receive_count = message.receive_count;
    let span = tracing::info_span!("message", id, receive_count, sender_trace_id = Empty, sender_span_id = Empty);
    // Looked up only where somebody listens: most messages carry nothing.
    if let Some(sender) = TraceContext::of(seen).filter(|_| !span.is_disabled()) {
        span.record("sender_trace_id", format!("{:032x}", sender.trace_id));
        span.record("sender_span_id", format!("{:016x}", sender.span_id));
        #[cfg(feature = "otlp")]
        otlp::link(&span, &sender);
    }
    span
}

/// The span in which messages are sent, and what they carry of it. `caller` is the span that asked for it.
pub fn sending(caller: Option<TraceContext>, now: SystemTime, random: fn() -> u64) -> (Span, TraceContext) {
    let context = caller.map_or_else(|| TraceContext::start(now, random), |caller| caller.child(random()));
    let span = tracing::info_span!("send", trace_id = Empty);
    #[cfg(feature = "otlp")]
    let context = otlp::sending(&span, caller).unwrap_or(context);
    span.record("trace_id", format!("{:032x}", context.trace_id));
    (span, context)
}

/// The same in OpenTelemetry's types, where spans are exported.
#[cfg(feature = "otlp")]
mod otlp {
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::TraceContext;

    pub(super) fn link(span: &Span, sender: &TraceContext) {
        span.add_link(remote(sender));
    }

    /// Continues the caller's trace, and tells what was made of it; `None` where nothing is exported.
    pub(super) fn sending(span: &Span, caller: Option<TraceContext>) -> Option<TraceContext> {
        if let Some(caller) = caller {
            let _ = span.set_parent(Context::new().with_remote_span_context(remote(&caller)));
        }
        let context = span.context();
        let ours = context.span().span_context().clone();
        let trace_id = u128::from_be_bytes(ours.trace_id().to_bytes());
        let span_id = ours.span_id().to_bytes();
        let span_id = u64::from_be_bytes(span_id);
        ours.is_valid().then_some(TraceContext { trace_id, span_id, sampled: Some(ours.is_sampled()) })
    }

    fn remote(context: &TraceContext) -> SpanContext {
        let flags = if context.sampled == Some(false) { TraceFlags::default() } else { TraceFlags::SAMPLED };
        let trace_id = TraceId::from(context.trace_id);
        let span_id = SpanId::from(context.span_id);
        SpanContext::new(trace_id, span_id, flags, true, TraceState::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Attribute;

    const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn both_notations_are_read_and_written_alike() {
        let w3c = TraceContext::from_traceparent(W3C).expect("valid");
        assert_eq!(w3c.traceparent(), W3C);
        assert_eq!(w3c.xray(), "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1");
        let xray = TraceContext::from_xray(XRAY).expect("valid");
        assert_eq!(xray.xray(), XRAY);
        assert_eq!(xray.traceparent(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        let other_order = "Sampled=0; Parent=53995c3f42cd8ad8;Self=1-2;Root=1-5759e988-bd862e3fe1be46a994272793";
        assert!(TraceContext::from_xray(other_order).expect("valid").xray().ends_with("Sampled=0"));
    }

    #[test]
    fn what_is_not_valid_is_no_context() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::from_traceparent(text), None, "{text}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(TraceContext::from_traceparent(later).is_some(), "later versions may add to it");
        for text in ["", "Root=1-5759e988-bd862e3fe1be46a994272793", "Root=2-a-b;Parent=53995c3f42cd8ad8", "Root=é"] {
            assert_eq!(TraceContext::from_xray(text), None, "{text}");
        }
    }

    #[test]
    fn the_attribute_wins_over_the_header_and_a_bad_one_does_not() {
        let value = AttributeValue::Text(W3C.to_owned());
        let mut message = Message { trace_header: Some(XRAY.to_owned()), ..Message::default() };
        let x_ray = TraceContext::of(&message).expect("the header");
        assert_eq!(x_ray.xray(), XRAY);
        message.attributes.insert(TRACEPARENT.to_owned(), Attribute { data_type: "String".to_owned(), value });
        assert_eq!(TraceContext::of(&message).expect("the attribute").traceparent(), W3C);
        let bad = Attribute { data_type: "String".to_owned(), value: AttributeValue::Text("x".to_owned()) };
        message.attributes.insert(TRACEPARENT.to_owned(), bad);
        assert_eq!(TraceContext::of(&message), Some(x_ray));
    }

    #[test]
    fn a_trace_that_begins_here_is_valid_in_both_notations() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(0x5759_e988);
        let started = TraceContext::start(now, || 0);
        assert!(started.xray().starts_with("Root=1-5759e988-"));
        assert_eq!(TraceContext::from_traceparent(&started.traceparent()).map(|c| c.trace_id), Some(started.trace_id));
        assert_eq!(TraceContext::from_xray(&started.xray()), Some(started));
    }
}
