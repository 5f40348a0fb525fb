//! Spans as OTLP over HTTP. No TLS: the collector stands beside the process (a sidecar, a node's agent, a Lambda layer).

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// A collector that takes longer has lost what it was to take.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Hands every span on to the collector at `endpoint`.
pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(endpoint: &str, service: &str) -> impl Layer<S> + use<S> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_WITHIN)
        .build();
    let provider =
        SdkTracerProvider::builder().with_resource(Resource::builder().with_service_name(service.to_owned()).build());
    let provider = match exporter {
        Ok(exporter) => provider.with_batch_exporter(exporter).build(),
        Err(error) => {
            eprintln!("spans are not exported: OTEL_EXPORTER_OTLP_ENDPOINT: {error}");
            provider.build()
        }
    };
    let provider = PROVIDER.get_or_init(|| provider);
    tracing_opentelemetry::layer().with_tracer(provider.tracer("twinscale"))
}

pub(super) async fn flush(within: Duration) {
    let Some(provider) = PROVIDER.get() else { return };
    // It blocks until the collector has answered.
    let flushing = tokio::task::spawn_blocking(|| provider.force_flush());
    match tokio::time::timeout(within, flushing).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "spans were not exported"),
        Ok(Err(_)) | Err(_) => tracing::warn!("spans were not exported in time"),
    }
}
