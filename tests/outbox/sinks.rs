//! What arrives at a receiver, and what is never sent or kept.

use portcullis::{
    clock::Clock as _,
    config::{Secret, SinkUrl},
    edge::{
        sink::{FileSink, Sink, WebhookSink},
        store::DeliveryState,
    },
    pipeline::deliver::Summary,
};
use standardwebhooks::Webhook;

use super::{Bench, given, named, webhook};
use crate::support::{
    git_server::{Behaviour, GitServer},
    receiver::{Received, Receiver, answer},
};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn verifies(received: &Received, key: &Webhook) -> bool {
    key.verify(&received.body, &received.headers).is_ok()
}

#[tokio::test]
async fn a_delivery_is_a_signed_cloud_event() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
    let id = bench.enqueue("hook", r#"{"open":3}"#).await;
    let summary = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]).deliver_due().await.unwrap();
    assert_eq!(summary, Summary { delivered: 1, ..Summary::default() });
    assert_eq!(bench.state(id).await, DeliveryState::Delivered);

    let got = receiver.received();
    assert_eq!(got.len(), 1);
    let one = &got[0];
    assert_eq!(&one.body[..], br#"{"open":3}"#);
    assert_eq!(one.path, "/hook");
    assert!(verifies(one, &Webhook::new(KEY).unwrap()));
    let row = bench.store.delivery(id).await.unwrap().unwrap().row;
    assert_eq!(one.header("webhook-id"), row.webhook_id);
    assert_eq!(one.header("ce-id"), row.webhook_id);
    assert_eq!(one.header("ce-specversion"), "1.0");
    assert_eq!(one.header("ce-type"), "dev.portcullis.report.v1");
    assert_eq!(one.header("ce-source"), "/clusters/prod/instances/platform");
    assert_eq!(one.header("ce-time"), row.created.to_string());
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("user-agent"), concat!("portcullis/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let bench = Bench::new().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let id = bench.enqueue("hook", "{}").await;
    receiver.then([answer(307).header("location", &elsewhere.url("/token-of-somebody"))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    assert_eq!(elsewhere.received().len(), 0);
    let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(!error.contains("token-of-somebody"), "{error}");
}

#[tokio::test]
async fn while_keys_are_rotated_every_key_signs() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    let (old, new) = (Webhook::new(KEY).unwrap(), Webhook::from_bytes(b"a plain new key".to_vec()).unwrap());

    let steps = [(KEY.to_owned(), [true, false]), (format!("{KEY}\na plain new key\n"), [true, true])];
    for (number, (keys, expected)) in
        steps.into_iter().chain([("a plain new key".to_owned(), [false, true])]).enumerate()
    {
        bench.write("key", &keys);
        bench.enqueue("hook", "{}").await;
        assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
        let got = receiver.received();
        assert_eq!([verifies(&got[number], &old), verifies(&got[number], &new)], expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_unsigned_where_a_key_is_missing() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    for keys in ["", "whsec_not base64!"] {
        let key = bench.write("key", keys);
        let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
        let id = bench.enqueue("hook", "{}").await;
        let summary = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]).deliver_due().await.unwrap();
        assert_eq!(summary.retried, 1);
        let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
        assert!(error.contains("nothing is sent unsigned"), "{error}");
        assert!(!error.contains("not base64!"), "{error}");
        bench.store.drop_delivery(id, bench.clock.now()).await.unwrap();
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_certificate_is_verified_and_ca_file_adds_an_authority() {
    let bench = Bench::new().await;
    let taken = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let behaviour =
        Behaviour { tls: true, answer: Some(Box::new(|_| Some(taken.to_vec()))), ..Behaviour::default() };
    let server = GitServer::start(bench.folder.path(), behaviour);
    let mut sink = WebhookSink::new(given(&server.url("hook")));
    let id = bench.enqueue("hook", "{}").await;
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink.clone()))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(server.asked(), [], "nothing is sent to a stranger");

    bench.to_next_attempt(id).await;
    sink.ca_file = Some(bench.write("ca.pem", server.authority()));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn no_secret_reaches_the_database() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let secrets = ["T0PSECRETPATH", "q-token-777", "hunter2hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let url = receiver
        .url("/services/T0PSECRETPATH?key=q-token-777")
        .replace("http://", "http://me:hunter2hunter2@");
    let address = bench.write("url", &url);
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(SinkUrl::Secret(Secret::File(address.clone()))).signed(Secret::File(key));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    let id = bench.enqueue("hook", "{}").await;
    let echo = secrets.join(" and ");
    receiver.then([answer(500).body(&echo), answer(400).body(&echo), answer(410).body(&echo)]);
    for _ in 0..2 {
        deliverer.deliver_due().await.unwrap();
        bench.to_next_attempt(id).await;
    }
    // Nobody listens there: the error is the client's own.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.write("url", &url.replace(&receiver.url("").replace("http://", ""), &closed.to_string()));
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    bench.to_next_attempt(id).await;
    bench.write("url", &url);
    assert_eq!(deliverer.deliver_due().await.unwrap().closed, 1);

    let attempts = bench.store.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 4);
    assert!(attempts[2].error.starts_with("cannot reach http://127.0.0.1:"), "{}", attempts[2].error);
    bench.store.close().await;
    let mut scanned = 0;
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("portcullis.db") {
            let bytes = std::fs::read(&path).unwrap();
            scanned += bytes.len();
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {}", path.display());
            }
        }
    }
    assert!(scanned > 0);
}

#[tokio::test]
async fn a_file_sink_writes_each_delivery_once() {
    let bench = Bench::new().await;
    let folder = bench.folder.path().join("reports");
    let deliverer = bench.deliverer(vec![named("files", Sink::File(FileSink { path: folder.clone() }))]);
    let first = bench.enqueue("files", r#"{"n":1}"#).await;
    bench.enqueue("files", r#"{"n":2}"#).await;
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 2);
    bench.store.replay(first, bench.clock.now()).await.unwrap();
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    let mut bodies: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            assert_eq!(path.extension().unwrap(), "json");
            assert!(path.file_stem().unwrap().to_str().unwrap().starts_with("weekly-"));
            std::fs::read_to_string(path).unwrap()
        })
        .collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#]);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_a_failure() {
    let bench = Bench::new().await;
    let receiver = Receiver::stuck().await;
    let sink = WebhookSink {
        timeout: std::time::Duration::from_millis(100),
        ..WebhookSink::new(given(&receiver.url("/hook")))
    };
    let id = bench.enqueue("hook", "{}").await;
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
    assert_eq!(error, format!("{} did not answer within 0.1 s", receiver.url("")));
}
