//! How clients find the server.

use super::SqsServer;

impl SqsServer {
    /// The environment of a process whose AWS SDK shall talk to this server.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_SQS", self.endpoint()),
            ("AWS_REGION", self.region().to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// A configuration of the Rust SDK that leads here, without TLS.
    #[cfg(feature = "client")]
    pub fn config(&self) -> aws_sdk_sqs::config::Builder {
        use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
        aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::new(self.region().to_owned()))
            .credentials_provider(Credentials::new("test", "test", None, None, "twinscale-sqs"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
    }

    /// A client of the Rust SDK that leads here.
    #[cfg(feature = "client")]
    pub fn client(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(self.config().build())
    }
}
