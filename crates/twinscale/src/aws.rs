//! How AWS is reached, whichever service: the SDK's own HTTP client over rustls with ring. Knows no service.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// A local service, which takes any credentials.
pub fn local(endpoint: &str) -> ConfigLoader {
    let anybody = Credentials::new("local", "local", None, None, "local");
    let loader = ConfigLoader::default().endpoint_url(endpoint).region(Region::from_static("us-east-1"));
    loader.credentials_provider(anybody)
}

/// Reads region, credentials and endpoints as every AWS SDK does, where `loader` does not say. Makes no call.
pub async fn load(loader: ConfigLoader) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    loader
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        // Bodies are at most a few MiB and the attempt timeout bounds them; watching each stream costs CPU.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await
}
