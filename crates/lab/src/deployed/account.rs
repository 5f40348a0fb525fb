//! HTTP requests beside SQS: `/send`, and the few calls to CloudFormation and CloudWatch, signed as the SDK signs them.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// A connection that takes longer will not come.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// An answer that takes longer will not come: API Gateway waits 30 s for its function.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);
/// No answer that we ask for is longer.
const MAX_ANSWER: usize = 32 << 20;

/// Region, credentials and endpoint, as every AWS SDK finds them, and a pool of connections.
#[derive(Debug)]
pub struct Account {
    config: SdkConfig,
    /// `--endpoint-url`: a local service, which takes any credentials.
    endpoint: Option<String>,
    pool: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// How a request shows that it may.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// By a bearer token.
    Token(String),
    /// By a signature of the account for this service (`lambda`, `monitoring`) in this region.
    Signature {
        /// As the signature names it.
        service: &'static str,
        /// Where it is.
        region: String,
    },
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct AccountAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

impl AccountAnswer {
    /// The status and the beginning of the body, for people.
    pub fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        format!("{} {line}", self.status.as_u16())
    }
}

impl Account {
    /// Reads the SDK's configuration. `endpoint` wins over `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// The system's root certificates cannot be read.
    pub async fn load(endpoint: Option<String>) -> std::io::Result<Self> {
        // Some credentials are fetched over HTTPS, and the SDK has no client of its own in this build.
        let tls = Provider::Rustls(CryptoMode::Ring);
        let of_sdk = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(of_sdk).load().await;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_WITHIN));
        let https = HttpsConnectorBuilder::new().with_native_roots()?;
        let connector = https.https_or_http().enable_http1().wrap_connector(http);
        Ok(Self { config, endpoint, pool: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// The region of the configuration; us-east-1 for a local service.
    pub fn region(&self) -> Option<String> {
        let of_config = self.config.region().map(ToString::to_string);
        of_config.or_else(|| self.endpoint.as_ref().map(|_| "us-east-1".to_owned()))
    }

    /// The emulator that stands in for AWS, if there is one.
    pub fn emulator(&self) -> Option<&str> {
        self.endpoint.as_deref().or_else(|| self.config.endpoint_url()).map(|url| url.trim_end_matches('/'))
    }

    /// Posts `body` to a service by its host's first label (`monitoring`), signed in its name.
    ///
    /// # Errors
    /// No region, no credentials, or no answer: what to change.
    pub async fn call(
        &self,
        service: &'static str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<AccountAnswer, String> {
        let region = self.region().ok_or("no AWS region is configured: set AWS_REGION")?;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = format!("https://{service}.{region}.{suffix}");
        let url = format!("{}/", self.emulator().unwrap_or(&own));
        self.post(&url, &Auth::Signature { service, region }, headers, body).await
    }

    /// Posts `body`. A function URL of an emulator is reached through the emulator, whatever the URL resolves to.
    ///
    /// # Errors
    /// No credentials, or no answer within 35 s: what to change.
    pub async fn post(
        &self,
        url: &str,
        auth: &Auth,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<AccountAnswer, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url} is no URL: {error}"))?;
        let host = uri.authority().map(ToString::to_string).ok_or_else(|| format!("{url} has no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let at = match self.emulator().filter(|_| host.contains(".lambda-url.")) {
            Some(emulator) => format!("{emulator}{path}"),
            None => url.to_owned(),
        };
        let body = Bytes::from(body);
        let mut request = Request::post(&at).body(Full::new(body.clone())).map_err(|e| e.to_string())?;
        request.headers_mut().insert(HOST, value(&host)?);
        for (name, text) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), value(text)?);
        }
        match auth {
            Auth::None => {}
            Auth::Token(token) => {
                let mut bearer = value(&format!("Bearer {token}"))?;
                bearer.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, bearer);
            }
            Auth::Signature { service, region } => {
                sign_with(&self.credentials().await?, service, region, url, &body, &mut request)?;
            }
        }
        let asking = async {
            let answer = self.pool.request(request).await.map_err(|error| causes(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|e| e.to_string())?;
            Ok(AccountAnswer { status, body: body.to_bytes() })
        };
        let late = |_| Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
        timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(late).map_err(|error| format!("{at}: {error}"))
    }

    async fn credentials(&self) -> Result<Credentials, String> {
        if self.endpoint.is_some() {
            return Ok(Credentials::new("local", "local", None, None, "local"));
        }
        let provider = self.config.credentials_provider().ok_or("no AWS credentials are configured")?;
        provider.provide_credentials().await.map_err(|error| format!("no AWS credentials: {}", causes(&error)))
    }
}

fn sign_with<B>(
    credentials: &Credentials,
    service: &str,
    region: &str,
    url: &str,
    body: &[u8],
    request: &mut Request<B>,
) -> Result<(), String> {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new("POST", url, headers, SignableBody::Bytes(body));
    let signed = signable.and_then(|signable| sign(signable, &params)).map_err(|error| error.to_string())?;
    let (instructions, _) = signed.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| "a header cannot have line breaks or control characters".to_owned())
}

/// The causes of an error, outermost first.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_host_and_session_token() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
        let request = Request::post("http://127.0.0.1:1/send").header(HOST, "abc.lambda-url.eu-west-1.on.aws");
        let mut request = request.body(()).expect("complete");
        let url = "https://abc.lambda-url.eu-west-1.on.aws/send";
        sign_with(&credentials, "lambda", "eu-west-1", url, b"{}", &mut request).expect("signed");
        let header = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
        assert!(header("authorization").contains("/eu-west-1/lambda/aws4_request"), "{}", header("authorization"));
        assert!(header("authorization").contains("SignedHeaders=host;x-amz-date;x-amz-security-token"));
        assert_eq!(header("x-amz-security-token"), "session");
    }
}
