//! Both protocols over HTTP, byte by byte: what the SDKs hide.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinscale_sqs::server::{Options, SqsServer};

/// Sends a request as it is written here, and returns status, headers and body.
async fn ask(server: &SqsServer, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the server answers, and closes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn send(server: &SqsServer, line: &str, headers: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let rest = format!("host: here:1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    ask(server, &format!("{line} HTTP/1.1\r\n{rest}")).await
}

const FORM: &str = "content-type: application/x-www-form-urlencoded; charset=utf-8\r\n";

async fn form(server: &SqsServer, path: &str, body: &str) -> (u16, String, String) {
    send(server, &format!("POST {path}"), FORM, body).await
}

/// The text of the first element of that name.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once(&format!("</{name}>")).expect("closed").0
}

/// Names of `SendMessage` and of its answer: AWS's API reference of 2012-11-05; the MD5s: md5sum.
#[tokio::test]
async fn a_form_is_answered_in_xml() {
    let server = super::server().await;
    let (status, head, xml) = form(&server, "/", "Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40&Tag.1.Key=k&Tag.1.Value=v&Version=2012-11-05").await;
    assert_eq!(status, 200, "{xml}");
    assert!(head.contains("content-type: text/xml"), "{head}");
    assert!(xml.starts_with("<?xml version=\"1.0\"?><CreateQueueResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><CreateQueueResult><QueueUrl>http://here:1/000000000000/q</QueueUrl></CreateQueueResult><ResponseMetadata><RequestId>"), "{xml}");
    assert!(head.contains(element(&xml, "RequestId")), "one id in the header and in the answer: {head}");

    let (_, _, xml) =
        form(&server, "/000000000000/q", "Action=GetQueueAttributes&AttributeName.1=VisibilityTimeout").await;
    assert!(xml.contains("<Attribute><Name>VisibilityTimeout</Name><Value>40</Value></Attribute>"), "{xml}");
    let (_, _, xml) = form(&server, "/000000000000/q", "Action=ListQueueTags").await;
    assert!(xml.contains("<Tag><Key>k</Key><Value>v</Value></Tag>"), "{xml}");

    let (_, _, xml) = form(&server, "/000000000000/q", "Action=SendMessage&MessageBody=%3Ca%3E+%26%0D%0A&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v").await;
    assert_eq!(element(&xml, "MD5OfMessageBody"), "2018741d103fd8fb97264c00da7ffa11", "{xml}");
    let md5 = element(&xml, "MD5OfMessageAttributes").to_owned();
    let receive = "Action=ReceiveMessage&MaxNumberOfMessages=10&AttributeName.1=All&MessageAttributeName.1=All";
    let (_, _, xml) = form(&server, "/000000000000/q", receive).await;
    assert_eq!(element(&xml, "Body"), "&lt;a&gt; &amp;&#xD;\n");
    assert!(xml.contains("<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>"), "{xml}");
    assert!(xml.contains("<MessageAttribute><Name>n</Name><Value><StringValue>v</StringValue><DataType>String</DataType></Value></MessageAttribute>"), "{xml}");
    assert_eq!(element(&xml, "MD5OfMessageAttributes"), md5);
    let delete = format!(
        "Action=DeleteMessageBatch&QueueUrl=q&DeleteMessageBatchRequestEntry.1.Id=a&DeleteMessageBatchRequestEntry.1.ReceiptHandle={}&DeleteMessageBatchRequestEntry.2.Id=b&DeleteMessageBatchRequestEntry.2.ReceiptHandle=x",
        element(&xml, "ReceiptHandle")
    );
    let (_, _, xml) = form(&server, "/", &delete).await;
    assert!(xml.contains("<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>"), "{xml}");
    let failed = element(&xml, "BatchResultErrorEntry");
    assert!(
        failed.starts_with("<Id>b</Id><SenderFault>true</SenderFault><Code>ReceiptHandleIsInvalid</Code>"),
        "{failed}"
    );
    let (status, _, xml) = form(&server, "/", "Action=PurgeQueue&QueueUrl=q").await;
    assert!(status == 200 && xml.contains("<PurgeQueueResponse") && !xml.contains("Result>"), "{xml}");
}

/// The code and its type as in AWS's API reference, "Common errors"; the JSON protocol's header as in botocore's `awsQueryCompatible`.
#[tokio::test]
async fn an_error_says_the_same_in_both_protocols() {
    let server = super::server().await;
    let (status, head, xml) = form(&server, "/", "Action=GetQueueUrl&QueueName=no-such").await;
    assert_eq!(status, 400);
    assert!(xml.contains("<ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist.</Message><Detail/></Error><RequestId>"), "{xml}");
    assert!(!head.contains("x-amzn-query-error"), "{head}");
    let headers = "content-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.GetQueueUrl\r\n";
    let (status, head, json) = send(&server, "POST /", headers, r#"{"QueueName":"no-such"}"#).await;
    assert_eq!(status, 400);
    assert!(json.contains("com.amazonaws.sqs#QueueDoesNotExist"), "{json}");
    assert!(head.contains("x-amzn-query-error: aws.simplequeueservice.nonexistentqueue;sender"), "{head}");
    for (body, status, code) in [
        ("", 400, "MissingAction"),
        ("Action=NoSuch", 400, "InvalidAction"),
        ("Action=SendMessage&MessageBody=x", 400, "MissingParameter"),
        ("Action=ListQueues&MaxResults=many", 400, "InvalidParameterValue"),
        ("Action=ListQueues&%FF=1", 404, "MalformedQueryString"),
    ] {
        let (got, _, xml) = form(&server, "/", body).await;
        assert_eq!((got, element(&xml, "Code")), (status, code), "{body}: {xml}");
    }
}

/// Before, each of these was `200 {}`, and the message was dropped.
#[tokio::test]
async fn what_is_no_request_is_an_error() {
    let server = super::server().await;
    server.create_queue("q", &[]).expect("a new queue");
    let (status, _, xml) =
        send(&server, "GET /000000000000/q?Action=SendMessage&MessageBody=hello+there", "", "").await;
    assert_eq!((status, element(&xml, "MD5OfMessageBody")), (200, "161bc25962da8fed6d2f59922fb642aa"), "{xml}");
    assert_eq!(server.counts("q").expect("exists").visible, 1);
    let (status, ..) = send(&server, "GET /", "", "").await;
    assert_eq!(status, 404);
    let (status, ..) = send(&server, "GET /000000000000/q?MessageBody=x", "", "").await;
    assert_eq!(status, 400);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (status, head, _) =
            send(&server, &format!("{method} /000000000000/q?Action=SendMessage&MessageBody=x"), FORM, "").await;
        assert_eq!(status, 405, "{method}");
        assert!(head.contains("allow: get, post"), "{head}");
    }
    assert_eq!(server.counts("q").expect("exists").visible, 1);
}

const JSON: &str = "content-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.";

/// Before, such a request was waited for as long as its client stayed.
#[tokio::test]
async fn half_a_body_is_waited_for_so_long() {
    let options = Options { body_timeout: Duration::from_millis(50), ..Options::default() };
    let server = super::server_with(options).await;
    let half = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nAction=ListQueues";
    let (status, _, xml) = ask(&server, half).await;
    assert_eq!((status, element(&xml, "Code")), (408, "RequestTimeout"));
}

#[tokio::test]
async fn bodies_have_so_many_bytes_together() {
    let server = super::server_with(Options { memory: 1000, ..Options::default() }).await;
    server.create_queue("q", &[]).expect("a new queue");
    let send_message = |bytes: usize| format!("Action=SendMessage&MessageBody={}", "x".repeat(bytes));
    // The first stays half, and holds its bytes.
    let mut half = TcpStream::connect(server.address()).await.expect("the server listens");
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n";
    half.write_all(format!("{head}{}", "x".repeat(900)).as_bytes()).await.expect("the server reads");
    let status = async || form(&server, "/0/q", &send_message(200)).await.0;
    let refused = async || while status().await != 503 {};
    tokio::time::timeout(Duration::from_secs(20), refused()).await.expect("the first body counts once it is read");
    drop(half);
    let taken = async || while status().await != 200 {};
    tokio::time::timeout(Duration::from_secs(20), taken()).await.expect("what its client left is freed");
    assert_eq!(form(&server, "/0/q", &send_message(2000)).await.0, 503);
    let big = send_message(9 << 20);
    let server = super::server().await;
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", big.len());
    let whole = head + &big;
    let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
    let (mut read, mut write) = stream.split();
    let mut answer = [0; 12];
    // The server answers before it has read all, and closes.
    let (_, read) = tokio::join!(write.write_all(whole.as_bytes()), read.read_exact(&mut answer));
    read.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_list_that_is_null_is_none() {
    let server = super::server().await;
    server.create_queue("q", &[]).expect("a new queue");
    for (action, body, code) in [
        (
            "ReceiveMessage",
            r#"{"QueueUrl":"q","AttributeNames":null,"MessageAttributeNames":null,"MessageSystemAttributeNames":null}"#,
            None,
        ),
        ("GetQueueAttributes", r#"{"QueueUrl":"q","AttributeNames":null}"#, None),
        ("CreateQueue", r#"{"QueueName":"q","Attributes":null,"tags":null}"#, None),
        (
            "SendMessage",
            r#"{"QueueUrl":"q","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":"v","BinaryValue":null,"StringListValues":null,"BinaryListValues":null}}}"#,
            None,
        ),
        ("SendMessageBatch", r#"{"QueueUrl":"q","Entries":null}"#, Some("EmptyBatchRequest")),
        ("UntagQueue", r#"{"QueueUrl":"q","TagKeys":null}"#, Some("MissingRequiredParameterException")),
    ] {
        let (status, _, json) = send(&server, "POST /", &format!("{JSON}{action}\r\n"), body).await;
        assert_eq!(status == 200, code.is_none(), "{action}: {json}");
        assert!(code.is_none_or(|code| json.contains(code)), "{action}: {json}");
    }
}

/// Before, the URL of a queue had no port then.
#[tokio::test]
async fn without_a_host_the_port_is_kept() {
    let server = super::server().await;
    for (line, host, expected) in [
        ("HTTP/1.0", "", server.endpoint()),
        ("HTTP/1.1", "host:\r\n", server.endpoint()),
        ("HTTP/1.1", "host: queue.example:81\r\n", "http://queue.example:81".to_owned()),
    ] {
        let request = format!("GET /?Action=CreateQueue&QueueName=q {line}\r\n{host}connection: close\r\n\r\n");
        let (_, _, xml) = ask(&server, &request).await;
        assert_eq!(element(&xml, "QueueUrl"), format!("{expected}/000000000000/q"));
    }
}
