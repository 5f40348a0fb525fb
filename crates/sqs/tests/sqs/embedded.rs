//! The server inside somebody's test: its clock, its view, its client, its regions.

use std::time::Duration;

use twinscale_sqs::model::Place;
use twinscale_sqs::server::{Options, Regions, SqsServer};

#[tokio::test]
async fn the_clock_can_be_advanced_and_polls_that_wait_hear_of_it() {
    let server = SqsServer::start().await.expect("a free port");
    let url = server.create_queue("orders", &[("VisibilityTimeout", "3600")]).expect("a new queue");
    let client = server.client();
    client.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    client.receive_message().queue_url(&url).send().await.expect("received");
    let poll = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let advance = async {
        // Once the poll is there, and nothing would come for an hour.
        while server.requests("orders").expect("it exists").receive + server.polls("orders").expect("it exists") < 2 {
            tokio::task::yield_now().await;
        }
        server.advance(Duration::from_secs(3600));
    };
    let (got, ()) = tokio::join!(poll, advance);
    assert_eq!(got.expect("received").messages().len(), 1);
    server.advance(Duration::from_secs(4 * 86_400));
    assert_eq!(server.messages("orders").expect("it exists"), [], "its retention period is over");
}

#[tokio::test]
async fn what_is_in_a_queue_can_be_seen_without_receiving_it() {
    let server = SqsServer::start().await.expect("a free port");
    let url = server.create_queue("orders", &[]).expect("a new queue");
    let client = server.client();
    for (body, delay) in [("held", 0), ("visible", 0), ("delayed", 60)] {
        client.send_message().queue_url(&url).message_body(body).delay_seconds(delay).send().await.expect("sent");
    }
    client.receive_message().queue_url(&url).send().await.expect("received");
    for _ in 0..2 {
        let seen = server.messages("orders").expect("it exists");
        let bodies: Vec<_> = seen.iter().map(|one| (one.body.as_str(), one.receive_count)).collect();
        assert_eq!(bodies, [("held", 1), ("visible", 0), ("delayed", 0)]);
        assert!(matches!(seen[0].place, Place::InFlight { .. }) && seen[1].place == Place::Visible);
        assert!(matches!(seen[2].place, Place::Delayed { .. }));
    }
    server.messages("no-such").expect_err("there is none");
}

#[tokio::test]
async fn queues_of_one_name_in_two_regions_are_two() {
    let server = SqsServer::start().await.expect("a free port");
    let region = |name: &'static str| {
        let config = server.config().region(aws_sdk_sqs::config::Region::new(name));
        aws_sdk_sqs::Client::from_conf(config.build())
    };
    for name in ["eu-west-1", "us-west-2"] {
        let url = region(name).create_queue().queue_name("orders").send().await.expect("a new queue");
        let url = url.queue_url().expect("its URL").to_owned();
        region(name).send_message().queue_url(&url).message_body(name).send().await.expect("sent");
        let arn = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
        let got = region(name).get_queue_attributes().queue_url(&url).attribute_names(arn.clone()).send().await;
        let arns = got.expect("found").attributes.expect("its ARN");
        assert_eq!(arns[&arn], format!("arn:aws:sqs:{name}:000000000000:orders"));
        let got = region(name).receive_message().queue_url(&url).max_number_of_messages(10).send().await;
        let bodies: Vec<_> = got.expect("received").messages().iter().filter_map(|m| m.body.clone()).collect();
        assert_eq!(bodies, [name]);
    }
    let listed = region("sa-east-1").list_queues().send().await.expect("a list");
    assert_eq!(listed.queue_urls(), [] as [String; 0]);
}

#[tokio::test]
async fn one_region_is_that_of_every_request_and_the_account_is_in_arns_and_urls() {
    let regions = Regions::One("eu-central-1".to_owned());
    let account = "123456789012".to_owned();
    let server = super::server_with(Options { regions, account, ..Options::default() }).await;
    let url = server.create_queue("orders", &[]).expect("a new queue");
    assert!(url.ends_with("/123456789012/orders"), "{url}");
    assert_eq!(server.arn("orders"), "arn:aws:sqs:eu-central-1:123456789012:orders");
    let config = server.config().region(aws_sdk_sqs::config::Region::new("us-east-1"));
    let elsewhere = aws_sdk_sqs::Client::from_conf(config.build());
    elsewhere.send_message().queue_url(&url).message_body("x").send().await.expect("the region is one");
}

#[tokio::test]
async fn a_region_or_an_account_that_is_none_is_refused() {
    for options in [
        Options { regions: Regions::One("Nowhere".to_owned()), ..Options::default() },
        Options { account: "12345".to_owned(), ..Options::default() },
    ] {
        let refused = SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await.err().expect("refused");
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_wanted_queue_is_made_with_its_dead_letter_queue() {
    let server = SqsServer::start().await.expect("a free port");
    let wanted = "orders.fifo:dlq=dead.fifo,maxReceiveCount=1,visibilityTimeout=60".parse().expect("a queue");
    let url = server.make(&wanted).expect("new queues");
    assert_eq!(server.make(&wanted).expect("the same"), url);
    let client = server.client();
    client.send_message().queue_url(&url).message_body("x").message_group_id("g").send().await.expect("sent");
    for brought in [1, 0] {
        let got = client.receive_message().queue_url(&url).send().await.expect("received");
        assert_eq!(got.messages().len(), brought);
        server.advance(Duration::from_secs(60));
    }
    let dead = server.messages("dead.fifo").expect("it was made");
    assert_eq!((dead[0].body.as_str(), dead[0].receive_count), ("x", 1));
}
