//! How AWS is reached, whichever service: the SDK's own HTTP client over rustls with ring. Knows no service.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};

/// A local service, which takes any credentials. The region is the environment's or the profile's, since a queue of another
/// region is another queue there too; us-east-1 where neither says one. Nothing else is asked.
pub fn local(endpoint: &str) -> ConfigLoader {
    let anybody = Credentials::new("local", "local", None, None, "local");
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::from_static("us-east-1"));
    ConfigLoader::default().endpoint_url(endpoint).region(region).credentials_provider(anybody)
}

/// Where a proxy stands in the environment, as every AWS SDK reads it (`NO_PROXY` names what is reached without).
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Reads region, credentials and endpoints as every AWS SDK does, where `loader` does not say. Makes no call.
pub async fn load(loader: ConfigLoader) -> SdkConfig {
    let tls = || Provider::Rustls(CryptoMode::Ring);
    let builder = Builder::new();
    // Most processes have no proxy, and theirs is the client that looks for none at each request.
    let http = match PROXIES.into_iter().find(|name| std::env::var(name).is_ok_and(|proxy| !proxy.trim().is_empty())) {
        None => builder.tls_provider(tls()).build_https(),
        Some(variable) => {
            tracing::info!(variable, "AWS is reached through a proxy, but for what NO_PROXY names");
            builder.build_with_connector_fn(move |settings, components| {
                let mut connector = ConnectorBuilder::default().tls_provider(tls());
                connector.set_proxy_config(Some(ProxyConfig::from_env()));
                connector.set_connector_settings(settings.cloned());
                connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
                connector.build()
            })
        }
    };
    loader
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        // Bodies are at most a few MiB and the attempt timeout bounds them; watching each stream costs CPU.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await
}
